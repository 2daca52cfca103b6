"""The reference process: images imprinted as fields on uncoupled units, then ramped away into noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from thermogen.computer import Computer, ReferenceControl
from thermogen.errors import require
from thermogen.langevin import EulerMaruyama, check_escape, sample_uncoupled, standard_normal, whole_steps

Item = TypeVar("Item")


@dataclass(frozen=True)
class Schedule:
    """Durations of noising and generation, and the ramp a(t) of the noising field.

        a(t) = max(0, 1 - t / (ramp_fraction t_f)):  1 at the start, 0 for the last quarter

    The visible units are read as their mean over the last `readout` of generation (reference: 0, at t_f).
    Times in 1 / (mobility E0). Reference: t_f = 2.5, dt = 1e-3 (2,500 steps), ramp_fraction = 0.75.
    Source: Whitelam, PRL 136, 037101 (2026).
    """

    t_f: float = 2.5
    dt: float = 1e-3
    ramp_fraction: float = 0.75
    readout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse durations and steps that make no whole number of steps."""
        whole_steps(self.t_f, self.dt)
        require(
            0 < self.ramp_fraction <= 1,
            f"ramp_fraction = {self.ramp_fraction}: give a number above 0 and up to 1 (reference: 0.75)",
        )
        require(
            0 <= self.readout < self.t_f,
            f"readout = {self.readout}: give 0, or a time below t_f = {self.t_f:g}",
        )

    @property
    def steps(self) -> int:
        """Number of time steps."""
        return whole_steps(self.t_f, self.dt)

    @property
    def readout_steps(self) -> int:
        """Number of states that the read-out averages, the last ones."""
        return max(1, round(self.readout / self.dt))

    def ramp(self, t: Float[Array, "*times"] | float) -> Float[Array, "*times"]:
        """a(t)."""
        return jnp.maximum(0.0, 1 - t / (self.ramp_fraction * self.t_f))


class RampedField(ReferenceControl):
    """Uncoupled units in a field that is ramped away: the control of the noising process.

        V(x, t) = sum_i (J2 x_i^2 + J4 x_i^4) - a(t) sum_i f_i x_i

    `field` f is an external force (it enters the force with a plus sign): (N,), or (batch, N).
    """

    reference: Computer
    field: Float[Array, "*batch N"]
    schedule: Schedule = eqx.field(static=True)
    continuous = True

    @property
    def duration(self) -> float:
        """t_f."""
        return self.schedule.t_f

    def at(self, t: Float[Array, ""] | float) -> Computer:
        """The uncoupled computer with bias -a(t) f."""
        bias = self.reference.bias - self.schedule.ramp(t) * self.field
        return eqx.tree_at(lambda c: c.bias, self.reference, bias)


def in_generation_order(segments: Sequence[Item]) -> list[Item]:
    """The items of the segments of noising, in order of generation, which undoes the last segment first."""
    return list(reversed(segments))


def noising_start(
    key: Key[Array, ""], reference: Computer, field: Float[Array, "*batch N"], samples: Int[Array, " batch"]
) -> Float[Array, "batch N"]:
    """Exact equilibrium of the uncoupled units under the full field: the start of noising."""
    in_field = eqx.tree_at(lambda c: c.bias, reference, reference.bias - field)
    return sample_uncoupled(key, in_field, samples)


def noising_stretch(
    keys: Key[Array, " batch"],
    control: RampedField,
    x: Float[Array, "batch N"],
    first_step: Int[Array, ""] | int,
    steps: int,
) -> Float[Array, "stored batch N"]:
    """`steps` Euler–Maruyama steps of noising, all states stored (steps + 1, batch, N), the first being x.

    The noise and the steps are those of `simulate`. The units are independent, so this function draws the
    increments of a stretch at once. Training uses such stretches.
    """
    reference, dt = control.reference, jnp.asarray(control.schedule.dt, x.dtype)
    sigma = jnp.sqrt(2 * reference.mobility * reference.kT * dt)
    numbers = first_step + jnp.arange(steps)
    noise = jax.vmap(lambda k: standard_normal(keys, k, x.shape[-1], x.dtype))(numbers)

    def step(x, inputs):
        k, xi = inputs
        after = x + reference.mobility * control.at(k * dt).force(x) * dt + sigma * xi
        return after, after

    _, path = jax.lax.scan(step, x, (numbers, noise))
    return jnp.concatenate([x[None], path])


def check_noising(
    keys: Key[Array, " batch"],
    control: RampedField,
    start: Float[Array, "batch N"],
    final: Float[Array, "batch N"],
) -> None:
    """Raise DivergenceError if noising from `start` to `final` left all physical scales (dt too large)."""
    check_escape(
        keys,
        control,
        start,
        final,
        steps=control.schedule.steps,
        dt=jnp.asarray(control.schedule.dt, start.dtype),
        integrator=EulerMaruyama(),
        first_step=jnp.asarray(0),
    )
