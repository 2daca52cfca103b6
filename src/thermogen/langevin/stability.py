"""Stability of the time step: the stable dt, and where a diverged run left the physical scale."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from thermogen.computer import Computer
from thermogen.couplings import Couplings
from thermogen.errors import DivergenceError
from thermogen.langevin.integrators import Integrator
from thermogen.langevin.step import time_step


def coupling_norm(computer: Computer, iterations: int = 60) -> float:
    """Largest absolute eigenvalue of J (E0), by power iteration on J^2 from a fixed start.

    If samples have couplings of their own, the largest of all.
    """
    return float(_norm(computer.couplings, iterations))


@eqx.filter_jit
def _norm(couplings: Couplings, iterations: int) -> Float[Array, ""]:
    total = couplings.units.total
    prepared = couplings.prepared()
    start = jnp.broadcast_to(jnp.cos(jnp.arange(total) * 1.7), (*prepared.batch, total))

    def unit(vector):
        return vector / jnp.maximum(jnp.linalg.norm(vector, axis=-1, keepdims=True), 1e-30)

    vector = jax.lax.fori_loop(
        0, iterations, lambda _, vector: unit(prepared.apply(prepared.apply(vector))), unit(start)
    )
    return jnp.linalg.norm(prepared.apply(vector), axis=-1).max()


def thermal_width(computer: Computer) -> Float[Array, " N"]:
    """Distance w at which the bare potential of each unit is kT deep: J2 w^2 + J4 w^4 = kT."""
    J2, J4, kT = computer.J2, computer.J4, computer.kT
    return jnp.sqrt(2 * kT / (J2 + jnp.sqrt(J2**2 + 4 * J4 * kT)))


def amplitude(computer: Computer) -> float:
    """Largest expected |x| of a unit, where the on-site force balances bias, couplings and heat.

    Solves 2 J2 x + 4 J4 x^3 = |b| + |J| x for the largest root over the units and adds five thermal
    widths. Infinite if J4 = 0 and the couplings overcome J2.
    """
    norm = coupling_norm(computer)
    J2, J4 = computer.J2.astype(float), computer.J4.astype(float)
    bias = jnp.max(jnp.abs(computer.bias).reshape(-1, computer.bias.shape[-1]), 0).astype(float)
    stiffness = 2 * J2 - norm
    if bool(jnp.any((J4 == 0) & (stiffness <= 0))):
        return float("inf")
    return float(jnp.max(_balance(stiffness, J4, bias) + 5 * thermal_width(computer)))


@jax.jit
def _balance(stiffness: Array, J4: Array, bias: Array) -> Array:
    """The largest x with stiffness x + 4 J4 x^3 = bias, by bisection."""

    def excess(x):
        return stiffness * x + 4 * J4 * x**3 - bias

    def halve(_, bounds):
        low, high = bounds
        middle = (low + high) / 2
        short = excess(middle) < 0
        return jnp.where(short, middle, low), jnp.where(short, high, middle)

    high = jax.lax.fori_loop(
        0, 60, lambda _, high: jnp.where(excess(high) < 0, 2 * high, high), jnp.ones_like(bias)
    )
    return jax.lax.fori_loop(0, 60, halve, (jnp.zeros_like(bias), high))[1]


def stable_dt(computer: Computer) -> float:
    """A time step at which explicit integrators stay stable: 2 / (mu x largest curvature reached).

    The curvature bound is 2 J2 + 12 J4 x^2 + |J| at the largest expected amplitude x (for units of another
    kind the largest `own_curvature` up to it, plus |J|). Returns 0 if the potential does not confine.
    """
    reach = amplitude(computer)
    if reach == float("inf"):
        return 0.0
    x = jnp.linspace(-reach, reach, 129, dtype=computer.J2.dtype)[:, None]
    x = jnp.broadcast_to(x, (len(x), computer.units.total))
    curvature = jnp.max(computer.own_curvature(x)) + coupling_norm(computer)
    return float(2 / (jnp.max(computer.mobility) * curvature))


@eqx.filter_jit
def _first_escape(keys, control, x0, limit, steps, first_step, **settings):
    step = time_step(keys, control, x0, **settings)

    def inside(x):
        return jnp.abs(step.whole(x)) < limit  # False for NaN

    def keep_going(state):
        (x, _), done = state
        return jnp.all(inside(x)) & (done < steps)

    def advance(state):
        (x, noise), done = state
        return step.advance(x, noise, first_step + done), done + 1

    start = (step.start(x0, first_step), jnp.asarray(0))
    (x, _), done = jax.lax.while_loop(keep_going, advance, start)
    row, unit = jnp.divmod(jnp.argmin(inside(x)), x0.shape[-1])
    return done, row, unit, step.whole(x)[row, unit]


def check_escape(
    keys: Key[Array, " batch"],
    control,
    x0: Float[Array, "batch N"],
    final: Float[Array, "batch N"],
    *,
    steps: int,
    dt: Float[Array, ""],
    integrator: Integrator,
    first_step: Int[Array, ""],
) -> None:
    """Raise DivergenceError if the run from `x0` that ended at `final` left all physical scales.

    A check of an ordinary end state costs nothing. A suspicious one needs a repetition of the run up to the
    first state out of scale, which the message names. A state where dt mu (2 J2 + 4 J4 x^2) exceeds 2 for a
    unit is out of scale as well: an explicit step from there overshoots to a larger |x|.
    """
    start = control.at(first_step * dt)
    inside, rate, place, x = (value.item() for value in _extremes(start, x0, final))
    if inside:
        if float(dt) * rate > 2:
            row, unit = divmod(place, final.shape[1])
            overshoots = f"{x:.3g}, where a step overshoots"
            raise _diverged(start, int(first_step) + steps, row, unit, overshoots, dt)
        return
    reach = amplitude(start)
    limit = 100 * max(min(reach, 1e6), float(jnp.max(jnp.abs(x0))))
    done, row, unit, value = _first_escape(
        keys, control, x0, jnp.asarray(limit, x0.dtype), steps, first_step, dt=dt, integrator=integrator
    )
    if int(done) == steps and abs(float(value)) < limit:
        return
    raise _diverged(start, int(first_step) + int(done), int(row), int(unit), f"{float(value):.3g}", dt)


@eqx.filter_jit
def _extremes(computer: Computer, x0: Float[Array, "batch N"], final: Float[Array, "batch N"]):
    """Whether all ends are ordinary; the largest rate -F/x of a unit's own force: value, place and state."""
    rates = computer.mobility * (2 * computer.J2 + 4 * computer.J4 * final * final)
    place = jnp.argmax(rates)
    ordinary = 10 * (jnp.max(jnp.abs(x0)) + jnp.max(thermal_width(computer)))
    inside = jnp.all(jnp.abs(final) < ordinary)  # False for NaN, which a maximum may overlook
    return inside, rates.reshape(-1)[place], place, final.reshape(-1)[place]


def _diverged(computer: Computer, step: int, row: int, unit: int, x: str, dt: Array) -> DivergenceError:
    stable = stable_dt(computer)
    remedy = (
        f"a stable step is dt = {_two_digits_down(stable)}"
        if stable > 0
        else "no dt is stable, since J4 = 0 and the couplings overcome J2: give J4 > 0 or weaker couplings"
    )
    return DivergenceError(
        f"the state diverged at step {step} (batch row {row}, unit {unit}, x = {x}) with dt = {float(dt):g}: "
        f"{remedy}"
    )


def _two_digits_down(value: float) -> float:
    exponent = jnp.floor(jnp.log10(value))
    return float(f"{float(jnp.floor(value / 10.0 ** (exponent - 1)) * 10.0 ** (exponent - 1)):.2g}")
