"""The compiled part of the live page: steps, with heat metered as force times displacement."""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from thermogen.computer import Computer
from thermogen.control import Control
from thermogen.langevin import Integrator
from thermogen.langevin.step import time_step


class Motion(NamedTuple):
    """States (n, N), heat and work of parameters that change (n,), in E0; sum of the states read so far."""

    x: Float[Array, "n N"]
    heat: Float[Array, " n"]
    work: Float[Array, " n"]
    read: Float[Array, "n N"]

    @classmethod
    def at_rest(cls, x: Float[Array, "n N"]) -> Motion:
        """The start of a run."""
        zero = jnp.zeros(len(x), x.dtype)
        return cls(x, zero, zero, jnp.zeros_like(x))


class EnergyBalance(NamedTuple):
    """Energies of every sample since the start, in kT of the model, (n,).

    change: V(x(t)) - V_0(x(0)). heat: metered along the path as force times displacement. work: of changes of
    the couplings, and of units set by the visitor. gap = change - (work - heat) is rounding.
    """

    change: Float[np.ndarray, " n"]
    heat: Float[np.ndarray, " n"]
    work: Float[np.ndarray, " n"]

    @property
    def gap(self) -> Float[np.ndarray, " n"]:
        """Deviation from the first law, in kT."""
        return self.change - (self.work - self.heat)


@eqx.filter_jit
def advance(
    keys: Key[Array, " n"],
    control: Control,
    motion: Motion,
    first: Int[Array, ""],
    count: Int[Array, ""],
    reading_from: Int[Array, ""],
    dt: Float[Array, ""],
    integrator: Integrator,
) -> Motion:
    """Steps `first` to `first + count`. The count is an argument: one program serves every pace.

    Heat is metered step by step as the work of the forces on the units along the straight line from x to x',
    by Simpson's rule,

        Q += sum_i [F_i(x) + 4 F_i((x + x') / 2) + F_i(x')] (x'_i - x_i) / 6,

    independent of the energy, so that the first law is a test of the run. The rule is exact for cubic forces,
    those of quartic units. Forces of couplings and biases are linear: their middle value is the mean. Work of
    couplings that change at every step: W += V(x', t + dt) - V(x', t). `read` sums the states from step
    `reading_from` on. Cost: one force a step more than the integrator.
    """
    step = time_step(keys, control, motion.x, dt=dt, integrator=integrator)
    prepared, changing = control.prepared(), control.continuous

    def body(k, carried):
        (state, noise), x, force, motion = carried
        now = prepared.at(k * dt)
        state, noise = step.advance(state, noise, k)
        after = step.whole(state)
        work = motion.work
        force_after = now.force(after)
        if changing:
            work = work + prepared.at((k + 1) * dt).energy(after) - now.energy(after)
            force = now.force(x)
        ends = now.own_slope(x) + now.own_slope(after)
        bent = (ends - 2 * now.own_slope((x + after) / 2)) / 3  # Simpson's rule minus the mean force
        heat = motion.heat + jnp.sum(((force + force_after) / 2 + bent) * (after - x), -1)
        read = motion.read + jnp.where(k + 1 > reading_from, after, 0)
        return (state, noise), after, force_after, Motion(after, heat, work, read)

    start = (step.start(motion.x, first), motion.x, prepared.at(first * dt).force(motion.x), motion)
    return jax.lax.fori_loop(first, first + count, body, start)[-1]


@eqx.filter_jit
def energy(control: Control, x: Float[Array, "n N"], t: Float[Array, ""] | float) -> Float[Array, " n"]:
    """V(x, t), in E0."""
    return control.at(t).energy(x)


@eqx.filter_jit
def couplings_of(computer: Computer, unit: Int[Array, ""], rows: Float[Array, "n N"]) -> Float[Array, "n N"]:
    """J_j for unit j with J_jj, (n, N): a row for each sample, since samples can have own couplings."""
    return computer.couplings.apply(jnp.zeros_like(rows).at[:, unit].set(1.0))


def with_temperature(computer: Computer, kT: float) -> Computer:
    """The computer at another temperature."""
    return eqx.tree_at(lambda c: c.kT, computer, jnp.full_like(computer.kT, kT))


def in_turn(control: Control) -> list[Control]:
    """The computers of equal intervals of t_f; a continuous control is one entry."""
    return [control] if control.continuous else [*control.computers()]
