"""Refinement of a trained computer on the states it visits itself: moments drawn against moments of the data.

Training on reversed paths never sees the states that the computer reaches by itself. A contrastive rule
does: at the end of a segment of generation, which is time t of noising,

    dJ_ij ~ <x_i x_j>_generated - <x_i x_j>_noising at t,    db_i ~ <x_i>_generated - <x_i>_noising at t,

each coupling needs its own two units. The moments of noising are exact (`noising.moments`). In the modes of
a `ModeTable`, with Q L Q^T the covariance of the data and D the difference of covariances,

    dM = rate kT Q L^-1 D L^-1 Q^T,    db = rate kT Q L^-1 Q^T dm

is the step that a Gaussian in equilibrium needs (preconditioned); dM = rate kT D / l^2, db = rate kT dm / l
with l the largest eigenvalue is the plain local rule. Steps are limited to differences of one variance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from thermogen.control import ModeTable
from thermogen.errors import require
from thermogen.generation import check_horizon, check_segments
from thermogen.langevin import sample_uncoupled, simulate
from thermogen.noising import Schedule
from thermogen.noising.moments import UnitKind, unit_moments

_BATCH = 250


class TargetMoments(NamedTuple):
    """Moments in modes of noising images at the times that end the segments of generation, in their order.

    mean: by condition (segments, K, r). covariance: about those means, pooled by class (segments, C, r, r).
    """

    mean: Float[np.ndarray, "segments K r"]
    covariance: Float[np.ndarray, "segments C r r"]


class Round(NamedTuple):
    """A round of refinement: mismatch of the moments before it, on training and on held-out images.

    Mismatch: |D|_F / |C|_F of the class covariances at the end of generation, mean over the classes, with D
    the difference of covariances about the data's means.
    """

    number: int
    mismatch: float
    held_out: float | None


class Refinement(NamedTuple):
    """The refined control and what every round found; the last entry is measured after the last change."""

    control: ModeTable
    rounds: list[Round]


def target_moments(
    control: ModeTable,
    fields: Float[np.ndarray, "P N"],
    conditions: Int[np.ndarray, " P"],
    schedule: Schedule,
    means: Float[np.ndarray, "segments K r"] | None = None,
) -> TargetMoments:
    """Exact moments of noising for images of given conditions. `means` (of training images) if not their own.

    Raises InputError for units that are not alike.
    Cost: one interpolation per image, unit and segment, and P N r multiply–adds.
    """
    units, segments = control.reference, control.segments
    J2, J4, mobility = units.alike()
    largest = float(np.abs(fields).max())
    kinds = [UnitKind(J2, J4, mobility)]
    (table,) = unit_moments(kinds, float(units.kT), schedule, largest * 1.01, segments=segments)
    grid = np.linspace(-largest, largest, 4001)
    known = table.at(grid)
    basis = np.asarray(control.basis, float)
    classes, labels = np.asarray(control.classes), np.asarray(control.labels)
    count = np.bincount(conditions, minlength=len(classes)).astype(float)
    mean, covariance = [], []
    for segment in range(segments):
        time = schedule.t_f * (segments - 1 - segment) / segments
        place = int(np.abs(known.times - time).argmin())
        m = np.interp(fields, grid, known.mean[:, place]).astype(np.float32)
        spread = np.interp(fields, grid, known.square[:, place]).astype(np.float32) - m**2
        modes = m @ basis
        if means is None:
            centre = np.zeros((len(classes), basis.shape[1]))
            np.add.at(centre, conditions, modes)
            centre /= np.maximum(count, 1)[:, None]
        else:
            centre = means[segment]
        rest = modes - centre[conditions]
        own = classes[conditions]
        covariance.append(
            [
                rest[own == label].T @ rest[own == label] / max(1, np.sum(own == label))
                + basis.T @ (spread[own == label].mean(0)[:, None] * basis)
                for label in labels
            ]
        )
        mean.append(centre)
    return TargetMoments(np.array(mean), np.array(covariance))


def refine_moments(
    key: Key[Array, ""],
    control: ModeTable,
    target: TargetMoments,
    schedule: Schedule,
    *,
    rounds: int = 14,
    samples: int = 4000,
    rate: float = 0.3,
    preconditioned: bool = True,
    modes: int = 40,
    along: bool = False,
    held_out: TargetMoments | None = None,
    progress: Callable[[int], None] | None = None,
) -> Refinement:
    """Refine couplings (one correction per class) and biases (per condition) in `rounds` rounds.

    Each round draws `samples` in all, with new noise. Preconditioned steps change the leading `modes` of the
    class alone. `along`: every segment is corrected by the moments at its end; otherwise the last one, by
    those at t_f. Raises InputError for a rate that is not positive, less samples than conditions, or
    another schedule than the control's.
    Cost: that of generating rounds x samples.
    """
    require(rate > 0, f"rate = {rate}: give a positive number, e.g. 0.3")
    require(
        samples >= len(control.classes),
        f"samples = {samples} for {len(control.classes)} conditions: give as many or more",
    )
    check_horizon(control, schedule)
    check_segments(schedule, control.segments)
    found: list[Round] = []
    conditions = np.repeat(np.arange(len(control.classes)), _shares(control, samples))
    segments = range(control.segments) if along else [control.segments - 1]
    for number in range(rounds + 1):
        states = _ends(jax.random.fold_in(key, number), control, conditions, schedule)
        drawn = [_moments(control, x, conditions, mean) for x, mean in zip(states, target.mean, strict=True)]
        last = drawn[-1][1]
        found.append(
            Round(
                number,
                _mismatch(last, target.covariance[-1]),
                None if held_out is None else _mismatch(last, held_out.covariance[-1]),
            )
        )
        if number < rounds:
            for segment in segments:
                step = _step(control, *drawn[segment], target.covariance[segment], preconditioned, modes)
                control = _moved(control, segment, *(rate * float(control.kT) * one for one in step))
        if progress is not None:
            progress(number)
    return Refinement(control, found)


def _shares(control: ModeTable, samples: int) -> np.ndarray:
    """How many samples each condition gets: by weight within its class, at least one; classes alike."""
    weights, classes = np.asarray(control.weights, float), np.asarray(control.classes)
    share = np.zeros(len(classes))
    for label in control.labels:
        mine = classes == label
        share[mine] = weights[mine] / weights[mine].sum() / len(control.labels)
    return np.maximum(1, np.round(samples * share)).astype(int)


def _ends(key, control: ModeTable, conditions: np.ndarray, schedule: Schedule) -> list[np.ndarray]:
    """States in modes at the end of every segment, (samples, r) each."""
    start_key, path_key = jax.random.split(key)
    steps = schedule.steps // control.segments
    ends: list[list[np.ndarray]] = [[] for _ in range(control.segments)]
    size = min(_BATCH, len(conditions))
    for first in range(0, len(conditions), size):
        chosen = np.resize(conditions[first : first + size], size)
        useful = min(size, len(conditions) - first)
        numbers = jnp.arange(first, first + size)
        x = sample_uncoupled(start_key, control.uncoupled(), numbers)
        for segment, end in enumerate(ends):
            x = simulate(
                path_key,
                control.condition(jnp.asarray(chosen), segment),
                x,
                steps=steps,
                dt=schedule.dt,
                samples=numbers,
                first_step=segment * steps,
            ).final
            end.append(np.asarray(x @ control.basis)[:useful])
    return [np.concatenate(end) for end in ends]


def _moments(control: ModeTable, modes: np.ndarray, conditions: np.ndarray, mean: np.ndarray):
    """Differences of means by condition, (K, r), and covariances about the data's means by class."""
    rest = modes.astype(float) - mean[conditions]
    shift = np.zeros_like(mean)
    np.add.at(shift, conditions, rest)
    shift /= np.bincount(conditions, minlength=len(mean))[:, None]
    own = np.asarray(control.classes)[conditions]
    covariance = [
        rest[own == label].T @ rest[own == label] / np.sum(own == label) for label in control.labels
    ]
    return shift, np.array(covariance)


def _mismatch(drawn: np.ndarray, target: np.ndarray) -> float:
    norm = np.linalg.norm
    return float(np.mean([norm(a - b) / norm(b) for a, b in zip(drawn, target, strict=True)]))


def _step(control: ModeTable, shift, drawn, target, preconditioned: bool, modes: int):
    """The change of mixing by class and of biases by condition, in units of kT."""
    mixing, bias = np.zeros_like(target), np.zeros_like(shift)
    classes = np.asarray(control.classes)
    for place, label in enumerate(control.labels):
        size, vectors = np.linalg.eigh(target[place])
        difference = drawn[place] - target[place]
        mine = classes == label
        if preconditioned:
            root = vectors[:, -modes:] / np.sqrt(size[-modes:])
            mixing[place] = root @ _capped(root.T @ difference @ root) @ root.T
            bias[mine] = np.clip(shift[mine] @ root, -1, 1) @ root.T
        else:
            mixing[place] = _capped(difference / size[-1]) / size[-1]
            bias[mine] = np.clip(shift[mine] / np.sqrt(size[-1]), -1, 1) / np.sqrt(size[-1])
    return mixing, bias


def _capped(relative: np.ndarray) -> np.ndarray:
    """Relative differences of variance, none beyond 1: far off, the linear step would be too long."""
    size, vectors = np.linalg.eigh(relative)
    return vectors * np.clip(size, -1, 1) @ vectors.T


def _moved(control: ModeTable, segment: int, mixing: np.ndarray, bias: np.ndarray) -> ModeTable:
    places = np.searchsorted(np.asarray(control.labels), np.asarray(control.classes))
    dtype = control.bias.dtype
    changed = (
        control.mixing.at[:, segment].add(jnp.asarray(mixing[places], dtype)),
        control.bias.at[:, segment].add(jnp.asarray(bias, dtype) @ control.basis.T),
    )
    return eqx.tree_at(lambda c: (c.mixing, c.bias), control, changed)
