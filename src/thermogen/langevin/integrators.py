"""One step of dx = mu F(x, t) dt + sqrt(2 mu kT) dW, by three methods of stated weak order."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
from jaxtyping import Array, Float

from thermogen.errors import InputError

Drift = Callable[[Array, Array], Array]
"""drift(x, t) = mu F(x, t): same shape as x."""


class Integrator(eqx.Module):
    """A method: from the state x at time t to that at t + dt, given two Gaussian increments.

    `noise` and `next_noise` are N(0, 1) arrays of the shape of x: the increments of this step and of the
    next one (used by methods that correlate neighbouring steps). `sigma` = sqrt(2 mu kT dt).
    """

    weak_order: ClassVar[int]
    """Order of the bias of averages, in powers of dt; measured in `tests/test_oracles.py`."""

    uses_next_noise: ClassVar[bool] = False

    def step(
        self, drift: Drift, x: Array, t: Array, dt: Array, sigma: Array, noise: Array, next_noise: Array
    ) -> Array:
        """The state after one step."""
        raise NotImplementedError


class EulerMaruyama(Integrator):
    """x' = x + mu F(x, t) dt + sigma xi: the published method. Weak order 1; one force per step."""

    weak_order: ClassVar[int] = 1

    def step(self, drift, x, t, dt, sigma, noise, next_noise) -> Float[Array, "*batch N"]:
        """The state after one Euler–Maruyama step."""
        return x + drift(x, t) * dt + sigma * noise


class StochasticHeun(Integrator):
    """Trapezoidal rule with an Euler predictor. Weak order 2 for additive noise; two forces per step.

        y  = x + mu F(x, t) dt + sigma xi
        x' = x + mu [F(x, t) + F(y, t + dt)] dt / 2 + sigma xi

    Source: Kloeden & Platen, Numerical Solution of SDEs (1992), section 15.1.
    """

    weak_order: ClassVar[int] = 2

    def step(self, drift, x, t, dt, sigma, noise, next_noise) -> Float[Array, "*batch N"]:
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

    def step(self, drift, x, t, dt, sigma, noise, next_noise) -> Float[Array, "*batch N"]:
        """The state after one Leimkuhler–Matthews step."""
        return x + drift(x, t) * dt + sigma * (noise + next_noise) / 2


INTEGRATORS: dict[str, type[Integrator]] = {
    "euler": EulerMaruyama,
    "heun": StochasticHeun,
    "leimkuhler-matthews": LeimkuhlerMatthews,
}
"""Integrators by the name used on the command line and in model cards."""


def named_integrator(name: str) -> Integrator:
    """The integrator of that name; InputError for an unknown one."""
    if name not in INTEGRATORS:
        raise InputError(f"unknown integrator {name!r}: choose one of {', '.join(INTEGRATORS)}")
    return INTEGRATORS[name]()
