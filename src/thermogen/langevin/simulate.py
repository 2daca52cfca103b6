"""Whole trajectories of a batch of samples as one compiled scan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from thermogen.computer import Control
from thermogen.errors import InputError, require
from thermogen.langevin.integrators import EulerMaruyama, Integrator
from thermogen.langevin.noise import sample_keys
from thermogen.langevin.observers import Observer, Step
from thermogen.langevin.stability import check_escape
from thermogen.langevin.step import time_step


class Trajectory(NamedTuple):
    """End states (batch, N) and, per observer, its records stacked along a first axis of length R + 1.

    Record 0 is the start; record r follows step r * every.
    """

    final: Float[Array, "batch N"]
    records: dict[str, Any]


def whole_steps(duration: float, dt: float) -> int:
    """Number of steps of `dt` in `duration`; InputError unless dt is positive and divides the duration."""
    require(bool(np.isfinite(dt)) and dt > 0, f"dt = {dt}: give a positive time step (reference: 0.001)")
    require(bool(np.isfinite(duration)) and duration > 0, f"t_f = {duration}: give a positive duration")
    steps = round(duration / dt)
    if steps < 1 or abs(steps * dt - duration) > 1e-6 * duration:
        near = duration / max(1, steps)
        raise InputError(
            f"dt = {dt:g} does not divide t_f = {duration:g} into whole steps: try dt = {near:.6g}"
        )
    return steps


def integrate(
    keys: Key[Array, " batch"],
    control: Control,
    x: Float[Array, "batch N"],
    *,
    steps: int,
    dt: Float[Array, ""],
    integrator: Integrator,
    observers: Mapping[str, Observer],
    every: int,
    first_step: Int[Array, ""] | int = 0,
) -> Trajectory:
    """The scan of `simulate` without checks, for use inside other compiled functions."""
    step = time_step(keys, control, x, dt=dt, integrator=integrator)

    def one_step(state, k):
        (x, noise), carries = state
        after = step.advance(x, noise, k)
        if observers:
            move = Step(control.at(k * dt), control.at((k + 1) * dt), step.whole(x), step.whole(after[0]))
            carries = {name: observer.update(carries[name], move) for name, observer in observers.items()}
        return (after, carries), None

    def records_of(k, x, carries):
        now = control.at(k * dt)
        return {name: observer.record(carries[name], now, x) for name, observer in observers.items()}

    def stretch(state, start):
        if steps == 1:  # not a scan: XLA would inline it, and round differently than in a longer stretch
            state = jax.lax.fori_loop(start, start + 1, lambda k, state: one_step(state, k)[0], state)
        else:
            state, _ = jax.lax.scan(one_step, state, start + jnp.arange(every))
        return state, records_of(start + every, step.whole(state[0][0]), state[1])

    start = control.at(first_step * dt)
    carries = {name: observer.start(start, x) for name, observer in observers.items()}
    first = records_of(first_step, x, carries)
    state = (step.start(x, first_step), carries)
    full = steps // every
    state, records = jax.lax.scan(stretch, state, first_step + every * jnp.arange(full))
    if steps % every:
        rest = first_step + every * full + jnp.arange(steps % every)
        state, _ = jax.lax.scan(one_step, state, rest)
    records = jax.tree.map(lambda start, later: jnp.concatenate([start[None], later]), first, records)
    return Trajectory(step.whole(state[0][0]), records)


_integrate = eqx.filter_jit(integrate)


def simulate(
    key: Key[Array, ""],
    control: Control,
    x0: Float[Array, "batch N"],
    *,
    steps: int,
    dt: float,
    integrator: Integrator | None = None,
    observers: Mapping[str, Observer] | None = None,
    every: int | None = None,
    samples: Int[Array, " batch"] | None = None,
    first_step: int = 0,
) -> Trajectory:
    """Run `steps` steps of Langevin dynamics from `x0` (batch, N) and return the end states.

        dx_i = -mu dV(x, t)/dx_i dt + sqrt(2 mu kT) dW_i

        control     a Computer, or any control that has a computer in force at each time
        observers   record every `every` steps (default: at the end only)
        samples     numbers of the samples, default 0 .. batch - 1
        first_step  continues an earlier run of that many steps

    The noise of sample n at step k depends on (key, n, k) alone. Arrays have the type of `x0` (float32, or
    float64 with `jax.enable_x64`), except noise and products if `integrator` says so.

    Raises DivergenceError, naming step, unit and a stable dt, if any state leaves all physical scales;
    InputError for a mis-shaped state or a dt or step count that is not positive.
    Cost: one product J x per force and N Gaussians per step and sample; compiled once per shape.
    """
    require(bool(np.isfinite(dt)) and dt > 0, f"dt = {dt}: give a positive time step (reference: 0.001)")
    require(steps > 0, f"steps = {steps}: give a positive number of steps")
    total = control.units.total
    if x0.ndim != 2 or x0.shape[1] != total:
        raise InputError(f"x0 has shape {x0.shape} but the computer has {total} units: give (batch, {total})")
    every = steps if every is None else every
    require(0 < every <= steps, f"every = {every}: give a number from 1 to steps = {steps}")
    numbers = jnp.arange(x0.shape[0]) if samples is None else jnp.asarray(samples)
    arguments: dict[str, Any] = {
        "dt": jnp.asarray(dt, x0.dtype),
        "integrator": integrator or EulerMaruyama(),
        "first_step": jnp.asarray(first_step),
    }
    keys = sample_keys(key, numbers)
    result = _integrate(
        keys, control, x0, steps=steps, observers=dict(observers or {}), every=every, **arguments
    )
    check_escape(keys, control, x0, result.final, steps=steps, **arguments)
    return result
