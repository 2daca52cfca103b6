"""The time step of a generation from the spectrum of what is generated with."""

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
"""Samples of a pilot run: the largest rate among them stands for all."""


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

    A pilot run of `samples` samples (of each label, or over all conditions) gives the largest relaxation
    rate and the mean one (`langevin.relaxation`); the method says what they allow. Images are less sensitive
    than the heat: their figures at these steps stand in docs/speed.md. The same key gives the same dt.

    Raises InputError for a bias outside 0 to 1 or a control for another t_f, DivergenceError if no step is
    stable. Cost: a pilot run, about as much as 250 samples at the published step.
    """
    require(samples >= 1, f"samples = {samples}: give 1 or more for the pilot run")
    check_horizon(control, schedule)
    numbers = jnp.arange(samples)
    groups = control.groups(np.asarray(control.labels, int), len(control.labels))
    parts = [group.control.spread_conditions(samples) for group in groups]
    start_key, path_key = jax.random.split(key)
    found = [
        relaxation_rates(path_key, part, sample_uncoupled(start_key, part.uncoupled(), numbers), schedule.t_f)
        for part in parts
    ]
    rates = Rates(max(one.largest for one in found), max(one.mean for one in found))
    multiple = math.lcm(*(part.segments for part in parts))
    return whole_division(schedule.t_f, step_for(rates, integrator or EulerMaruyama(), bias), multiple)
