"""The time step of a generation from the relaxation rates of its control."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from thermogen.control import Control
from thermogen.errors import require
from thermogen.generation.batch import check_horizon
from thermogen.langevin import EulerMaruyama, Integrator, sample_uncoupled
from thermogen.langevin.relaxation import Rates, relaxation_rates, step_for, whole_division
from thermogen.noising import Schedule

PILOT = 16
"""Samples of a pilot run, which gives the largest rate."""


def suitable_dt(
    key: Key[Array, ""],
    control: Control,
    schedule: Schedule,
    integrator: Integrator | None = None,
    *,
    bias: float = 0.01,
    samples: int = PILOT,
) -> float:
    """The largest dt that divides t_f and biases the heat of generation by less than about `bias`.

    A pilot run of `samples` samples (of each label, or over all conditions) gives the largest and the mean
    relaxation rate, and `langevin.relaxation.step_for` the step of the method. Images are less sensitive than
    the heat: docs/speed.md has the figures. The same key gives the same dt.

    Raises InputError for a bias outside 0 to 1 or a control for another t_f, DivergenceError if no step is
    stable. Cost: a pilot run, about as much as 250 samples at the published step.
    """
    require(samples >= 1, f"samples = {samples}: give 1 or more for the pilot run")
    check_horizon(control, schedule)
    numbers = jnp.arange(samples)
    groups = control.groups(np.asarray(control.labels, int), len(control.labels))
    controls = [group.control.spread_conditions(samples) for group in groups]
    start_key, path_key = jax.random.split(key)
    starts = (sample_uncoupled(start_key, pilot.uncoupled(), numbers) for pilot in controls)
    rates = [
        relaxation_rates(path_key, pilot, x0, schedule.t_f)
        for pilot, x0 in zip(controls, starts, strict=True)
    ]
    rates = Rates(*map(max, zip(*rates, strict=True)))
    multiple = math.lcm(*(pilot.segments for pilot in controls))
    return whole_division(schedule.t_f, step_for(rates, integrator or EulerMaruyama(), bias), multiple)
