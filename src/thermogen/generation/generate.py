"""Generation: from noise to images by the computer's own dynamics, with the heat and work of every sample."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Int, Key

from thermogen.computer import Computer, Group
from thermogen.control import Clamp, Control
from thermogen.errors import require
from thermogen.generation.batch import check_horizon, timetable
from thermogen.generation.samples import Samples
from thermogen.generation.shares import SharedBatches
from thermogen.langevin import EulerMaruyama, Integrator
from thermogen.noising import Schedule
from thermogen.parallel import agree, process_count

BATCH = 250
"""Samples of one batch: enough for efficient products; memory grows with it, not with the count."""


def generate(
    key: Key[Array, ""],
    control: Control,
    count: int,
    schedule: Schedule | None = None,
    *,
    labels: Sequence[int] | np.ndarray | None = None,
    conditions: Sequence[int] | np.ndarray | None = None,
    clamp: Clamp | None = None,
    idle: Computer | None = None,
    integrator: Integrator | None = None,
    batch: int = BATCH,
    film_frames: int = 30,
    film_samples: int = 10,
    checkpoint: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Samples:
    """Generate `count` samples: equilibrate the uncoupled units, switch V_theta on, run for t_f, read.

        x(0) ~ exp(-V_0 / kT);   dx = -mu grad V_theta dt + sqrt(2 mu kT) dW;   image = visible x(t_f)

        control       a Computer, `Segments`, `PerClass` or `ConditionSet`
        labels        class of each sample (count,); default: all in turn
        conditions    condition of each sample (count,); default: drawn by weight among those of its label
        clamp         units at given values while the others run, one row per sample
        idle          uncoupled computer whose equilibrium is the start, if training changed J2
        batch         samples that run together
        film_frames   approximate number of intervals of the film
        film_samples  number of samples in the film
        checkpoint    folder where finished batches are stored and not repeated
        progress      called with (done, total) sample-steps after each film interval

    The noise of sample n depends on (key, n, step) alone. A process with several devices runs a batch on
    each. Processes (`thermogen.parallel`) share the batches; all must call with the same arguments, and all
    get all samples, bit-identical for any number of them.

    Raises InputError for a count or batch below 1, unknown labels or conditions, a clamp of other units, a
    control for another t_f, or segments that dt does not divide; DivergenceError for a dt that is too large.
    Cost: 4 ms per sample-batch step of 250 x 1,296 published units on two cores (10 s a batch).
    """
    schedule = schedule or Schedule()
    require(count >= 1, f"count = {count}: give 1 sample or more")
    require(batch >= 1, f"batch = {batch}: give 1 sample or more")
    if clamp is not None:
        clamp.check(control.units, count)
    request = requested(key, control, count, labels, conditions)
    groups = control.groups(request.labels, count)
    for group in groups:
        check_horizon(group.control, schedule)
    segments = {group.control.segments for group in groups}
    tables = [timetable(group.control.segments, segments, schedule, film_frames) for group in groups]
    method = integrator or EulerMaruyama()
    agree("samples", _digest(key, control, request, groups, schedule, batch, method))
    drawn = SharedBatches(
        key,
        groups,
        tables,
        request.conditions,
        schedule,
        method,
        batch,
        film_samples,
        idle,
        clamp,
        checkpoint,
    ).drawn(progress or (lambda done, total: None))
    numbers, batches = [piece.useful for piece, _ in drawn], [result for _, result in drawn]
    order = np.argsort(np.concatenate(numbers), kind="stable")

    def joined(*arrays: np.ndarray) -> np.ndarray:
        cut = [array[: len(useful)] for array, useful in zip(arrays, numbers, strict=True)]
        return np.concatenate(cut)[order]

    films = {
        number: result.film[:, place]
        for useful, result in zip(numbers, batches, strict=True)
        for place, number in enumerate(useful[: result.film.shape[1]])
        if number < film_samples
    }
    x, readout, start, end, idle, heat, switching = jax.tree.map(joined, *(result[:-1] for result in batches))
    visible = x[:, control.units.slice("visible")] if readout is None else readout
    return Samples(
        x=x,
        visible=visible,
        heat=heat,
        work=start.total - idle + switching,
        switching=switching,
        start=start,
        end=end,
        film=np.stack([films[number] for number in sorted(films)], 1),
        film_times=np.asarray(tables[-1].frames) * schedule.dt,
        kT=float(control.kT),
        units=control.units,
        labels=request.labels,
        conditions=request.conditions,
    )


class Request(NamedTuple):
    """The label and the condition of every sample; None where the control has none."""

    labels: Int[np.ndarray, " count"] | None
    conditions: Int[np.ndarray, " count"] | None = None


def _digest(
    key: Key[Array, ""],
    control: Control,
    request: Request,
    groups: list[Group],
    schedule: Schedule,
    batch: int,
    method: Integrator,
) -> list[Any]:
    """The arguments that all processes of this generation must share; empty for a single process."""
    if process_count() == 1:
        return []
    digest = hashlib.sha256()
    arguments = (jax.random.key_data(key), control, request.labels, request.conditions)
    for leaf in jax.tree.leaves(eqx.filter(arguments, eqx.is_array)):
        digest.update(np.asarray(leaf).tobytes())
    sizes = [[group.name, len(group.members)] for group in groups]
    return [digest.hexdigest(), sizes, repr(schedule), batch, repr(method)]


def requested(
    key: Key[Array, ""],
    control: Control,
    count: int,
    labels: Sequence[int] | np.ndarray | None = None,
    conditions: Sequence[int] | np.ndarray | None = None,
) -> Request:
    """The label and condition of each of `count` samples: the given ones, or all labels in turn.

    The condition of sample n depends on (key, n) and its label alone. Raises InputError for labels or
    conditions that the control does not have, or whose number is not `count`.
    """
    if conditions is not None:
        require(labels is None, "labels and conditions are both given: conditions have labels; give one")
        chosen = np.asarray(conditions)
        require(
            chosen.shape == (count,),
            f"conditions have shape {chosen.shape}: give one for each of {count} samples",
        )
        return Request(control.labels_of(chosen), chosen)
    if not control.labels:
        require(
            labels is None, "labels are given, but the couplings do not depend on a label: leave them out"
        )
        return Request(None)
    given = np.resize(control.labels, count) if labels is None else np.asarray(labels)
    require(given.shape == (count,), f"labels have shape {given.shape}: give one for each of {count} samples")
    given = given.astype(int)
    return Request(given, control.draw(key, np.arange(count), given))
