"""The time step from the relaxation rates at the states that a computer visits."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from thermogen.computer import Computer, Control
from thermogen.errors import DivergenceError, require
from thermogen.langevin.integrators import Integrator, LeimkuhlerMatthews
from thermogen.langevin.observers import Snapshots
from thermogen.langevin.simulate import simulate
from thermogen.langevin.stability import coupling_norm, stable_dt

_TIMES = 10  # of a pilot run, at which the largest rate is computed
_MOST_STEPS = 20_000  # of a pilot run
_PRODUCTS = 150  # of a power iteration

# Relative bias of the heat of generation, fitted to the tables of docs/speed.md: proportional to dt times the
# mean rate for methods of order 1 along a transient, to the square of dt times the largest rate for order 2.
_FIRST_ORDER = 0.34
_FIRST_ORDER_CORRECTED = 0.08
_SECOND_ORDER = 0.0055
_STABLE = 1.0  # dt times the largest rate; explicit methods break at 2


class Rates(NamedTuple):
    """Relaxation rates of a computer, in 1 / time: the largest, and the mean over units at the end.

    A rate is an eigenvalue of mu d^2V / dx_i dx_j at a state; the mean is that of mu (2 J2 + 12 J4 x^2).
    """

    largest: float
    mean: float


def relaxation_rates(key: Key[Array, ""], control: Control, x0: Float[Array, "batch N"], t_f: float) -> Rates:
    """The rates along a pilot run of the samples `x0` for t_f, with a stable step.

    Power iteration at ten times of the run gives the largest eigenvalue. Raises DivergenceError if no step is
    stable. Cost: t_f / stable_dt steps of few samples, then 1,500 products J x.
    """
    safe = stable_dt(control.at(0.0))
    if safe == 0:
        raise DivergenceError(
            "no dt is stable, since J4 = 0 and the couplings overcome J2: give J4 > 0 or weaker couplings"
        )
    steps = int(np.clip(np.ceil(t_f / safe), 10 * _TIMES, _MOST_STEPS))
    every = steps // _TIMES
    steps = every * _TIMES
    run = simulate(key, control, x0, steps=steps, dt=t_f / steps, observers={"x": Snapshots()}, every=every)
    times = jnp.linspace(0, t_f, _TIMES + 1)
    largest = []
    for t, x in zip(times, run.records["x"], strict=True):
        now = control.at(t)
        shift = float(jnp.max(now.mobility)) * coupling_norm(now)
        largest.append(float(_largest_rate(now, x, jnp.asarray(shift, x.dtype))))
    last = control.at(t_f)
    return Rates(max(largest), float(jnp.mean(last.mobility * last.own_curvature(run.final))))


@eqx.filter_jit
def _largest_rate(computer: Computer, x: Float[Array, "batch N"], shift: Float[Array, ""]):
    # `shift`, at least the size of the most negative rate, makes the largest rate the largest in size.
    root = jnp.sqrt(computer.mobility)
    curvature = computer.own_curvature(x)
    couplings = computer.couplings.prepared()

    def apply(v):
        return root * (curvature * (root * v) + couplings.apply(root * v)) + shift * v

    def iterate(_, v):
        w = apply(v)
        return w / jnp.linalg.norm(w, axis=-1, keepdims=True)

    start = jnp.broadcast_to(jnp.cos(1.7 * jnp.arange(x.shape[-1], dtype=x.dtype)), x.shape)
    v = jax.lax.fori_loop(0, _PRODUCTS, iterate, start)
    return jnp.max(jnp.linalg.norm(apply(v), axis=-1)) - shift


def step_for(rates: Rates, integrator: Integrator, bias: float = 0.01) -> float:
    """The largest dt at which the heat of generation is biased by less than about `bias` (relative).

        order 1:  dt < bias / (k mean rate)          k = 0.34, or 0.08 for Leimkuhler–Matthews
        order 2:  dt < (bias / 0.0055)^(1/2) / largest rate
        and always dt < 1 / largest rate, half of the limit of explicit methods

    k as measured: docs/speed.md. Raises InputError for a bias that is not between 0 and 1.
    """
    require(0 < bias < 1, f"bias = {bias}: give a relative bias of the heat between 0 and 1, e.g. 0.01")
    cap = _STABLE / rates.largest
    if isinstance(integrator, LeimkuhlerMatthews):
        return min(cap, bias / (_FIRST_ORDER_CORRECTED * rates.mean))
    if integrator.weak_order >= 2:
        return min(cap, (bias / _SECOND_ORDER) ** 0.5 / rates.largest)
    return min(cap, bias / (_FIRST_ORDER * rates.mean))


def whole_division(t_f: float, dt: float, multiple: int = 1) -> float:
    """The largest step up to `dt` that divides t_f into a multiple of `multiple` steps."""
    return t_f / (multiple * int(np.ceil(t_f / (dt * multiple) - 1e-9)))
