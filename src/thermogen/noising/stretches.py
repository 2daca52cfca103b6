"""Work through long trajectories in stretches of bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import TypeVar

import jax
import jax.numpy as jnp

from thermogen.noising import RampedField, noising_start, noising_stretch

Carry = TypeVar("Carry")

ROWS = 1280
"""States (steps x trajectories) stored at a time: 7 MB each array of 1,296 units in float32."""
NUMBERS = 16_000_000
"""Numbers stored at a time, whatever the size of the computer: 64 MB each array in float32."""


def stretch_length(units: int, batch: int, steps: int) -> int:
    """Steps of `batch` trajectories of `units` units that are stored at a time, of `steps` in all."""
    rows = max(batch, min(ROWS, NUMBERS // units))
    return max(1, steps // ceil(steps * batch / rows))


def over_noising(
    keys,
    start_key,
    samples,
    control: RampedField,
    carry: Carry,
    work: Callable[[Carry, jax.Array, jax.Array], Carry],
    length: int | None = None,
) -> tuple[Carry, jax.Array]:
    """Run noising trajectories and hand each stretch of stored states to `work(carry, path, first_step)`.

    `length` is the number of steps of a stretch (default: as many as fit into `ROWS`); the last one may
    be shorter. Returns the final carry and the final states.
    """
    steps = control.schedule.steps
    length = length or stretch_length(control.reference.units.total, len(samples), steps)
    x = noising_start(start_key, control.reference, control.field, samples)

    def stretch(state, first_step, count=length):
        x, carry = state
        path = noising_stretch(keys, control, x, first_step, count)
        return (path[-1], work(carry, path, first_step)), None

    full = steps // length
    state, _ = jax.lax.scan(stretch, (x, carry), length * jnp.arange(full))
    if steps % length:
        state, _ = stretch(state, jnp.asarray(length * full), steps % length)
    return state[1], state[0]
