"""One step of dx = mu F(x, t) dt + sqrt(2 mu kT) dW, by three methods of stated weak order."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
from jaxtyping import Array

from thermogen.couplings import SplitState
from thermogen.errors import InputError, require
from thermogen.langevin.noise import NOISES

State = Array | SplitState
"""States (*batch, N), whole or cut along the units: a step is the same arithmetic on both."""
Drift = Callable[[State, Array], State]
"""drift(x, t) = mu F(x, t): same shape as x."""


PRODUCTS = ("full", "bfloat16")
"""Precision of products J x: the type of the state, or numbers rounded to bfloat16."""


class Integrator(eqx.Module):
    """A method: from the state x at time t to that at t + dt, given two random increments.

    `noise` and `next_noise` have the shape of x, mean 0 and variance 1: the increments of this step and of
    the next one (used by methods that correlate neighbouring steps). `sigma` = sqrt(2 mu kT dt). A step uses
    sums, differences, products and quotients of whole states alone, so that it works on `SplitState` as well.
    """

    noise: str = eqx.field(static=True, default="gaussian")
    """'gaussian', or 'three-point': moments 1 to 5 of N(0, 1), at less than half the cost."""
    products: str = eqx.field(static=True, default="full")
    """'full': in the type of x. 'bfloat16': x and J rounded to 8 bits of mantissa in J x, nowhere else."""

    weak_order: ClassVar[int]
    """Order of the bias of averages, in powers of dt; measured in `tests/test_oracles.py`."""

    uses_next_noise: ClassVar[bool] = False

    def __check_init__(self) -> None:
        """Refuse unknown noise and products."""
        require(self.noise in NOISES, f"unknown noise {self.noise!r}: choose one of {', '.join(NOISES)}")
        require(
            self.products in PRODUCTS,
            f"unknown products {self.products!r}: choose one of {', '.join(PRODUCTS)}",
        )

    def step(
        self, drift: Drift, x: State, t: Array, dt: Array, sigma: State, noise: State, next_noise: State
    ) -> State:
        """The state after one step."""
        raise NotImplementedError


class EulerMaruyama(Integrator):
    """x' = x + mu F(x, t) dt + sigma xi: the published method. Weak order 1; one force per step."""

    weak_order: ClassVar[int] = 1

    def step(self, drift, x, t, dt, sigma, noise, next_noise) -> State:
        """The state after one Euler–Maruyama step."""
        return x + drift(x, t) * dt + sigma * noise


class StochasticHeun(Integrator):
    """Trapezoidal rule with an Euler predictor. Weak order 2 for additive noise; two forces per step.

        y  = x + mu F(x, t) dt + sigma xi
        x' = x + mu [F(x, t) + F(y, t + dt)] dt / 2 + sigma xi

    Source: Kloeden & Platen, Numerical Solution of SDEs (1992), section 15.1.
    """

    weak_order: ClassVar[int] = 2

    def step(self, drift, x, t, dt, sigma, noise, next_noise) -> State:
        """The state after one Heun step."""
        first = drift(x, t)
        pushed = x + sigma * noise
        second = drift(pushed + first * dt, t + dt)
        return pushed + (first + second) * (dt / 2)


class LeimkuhlerMatthews(Integrator):
    """x' = x + mu F(x, t) dt + sigma (xi_k + xi_{k+1}) / 2: one force per step.

    Its equilibrium averages have a bias of order dt^2; averages along a transient stay of order 1.
    Source: Leimkuhler & Matthews, Appl. Math. Res. Express 2013, 34 (2013).
    """

    weak_order: ClassVar[int] = 2
    uses_next_noise: ClassVar[bool] = True

    def step(self, drift, x, t, dt, sigma, noise, next_noise) -> State:
        """The state after one Leimkuhler–Matthews step."""
        return x + drift(x, t) * dt + sigma * (noise + next_noise) / 2


INTEGRATORS: dict[str, type[Integrator]] = {
    "euler": EulerMaruyama,
    "heun": StochasticHeun,
    "leimkuhler-matthews": LeimkuhlerMatthews,
}
"""Integrators by the name used on the command line and in model cards."""


def named_integrator(name: str, noise: str = "gaussian", products: str = "full") -> Integrator:
    """The integrator of that name with this noise and these products; InputError for unknown names."""
    if name not in INTEGRATORS:
        raise InputError(f"unknown integrator {name!r}: choose one of {', '.join(INTEGRATORS)}")
    return INTEGRATORS[name](noise=noise, products=products)
