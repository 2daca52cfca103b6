"""The loss on a fixed set of noising paths: the same noise for every computer, so differences are sharp."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from thermogen.computer import Computer
from thermogen.control import Segments
from thermogen.langevin import sample_keys
from thermogen.noising import RampedField, Schedule, check_noising, noising_start
from thermogen.noising.stretches import over_noising
from thermogen.thermodynamics.path import reverse_action

VALIDATION_PATHS = 6
"""Number of fixed noising paths on which the loss is followed."""


@eqx.filter_jit
def path_loss(
    key: Key[Array, ""],
    computer: Computer | Segments,
    fields: Float[Array, "P N"],
    schedule: Schedule,
    samples: Int[Array, " batch"],
    idle: Computer | None = None,
) -> Float[Array, " batch"]:
    """(dt / t_f) x reverse action of each noising path; path s is of image s mod P.

    The path of sample s depends on (key, s) alone: compare two computers on the same samples by the mean and
    standard error of the difference. N / 2 is the noise floor.
    `idle`: the noised units, if training changed their J2 (default: those of the computer).
    """
    start_key, path_key = jax.random.split(key)
    control = RampedField(
        computer.uncoupled() if idle is None else idle, fields[samples % len(fields)], schedule
    )
    dtype = computer.bias.dtype
    dt = jnp.asarray(schedule.dt, dtype)

    def add(action, path, first_step):
        return action + reverse_action(computer, path, dt, first_step)

    zero = jnp.zeros(len(samples), dtype)
    action, _ = over_noising(sample_keys(path_key, samples), start_key, samples, control, zero, add)
    return action * dt / schedule.t_f


def check_step(key, computer, fields, schedule, samples, final=None) -> None:
    """DivergenceError if the noising paths of `samples` diverged; repeats them if `final` is not finite."""
    start_key, path_key = jax.random.split(key)
    control = RampedField(computer.uncoupled(), fields[samples % len(fields)], schedule)
    start = noising_start(start_key, control.reference, control.field, samples)
    suspect = jnp.full_like(start, jnp.nan) if final is None else final
    check_noising(sample_keys(path_key, samples), control, start, suspect)
