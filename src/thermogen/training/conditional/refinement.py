"""Refinement of a trained computer: moments of its generated states against moments of the data.

Training on reversed paths does not use the generated states. A contrastive rule does: at the end of a segment
of generation, which is time t of noising,

    dJ_ij ~ <x_i x_j>_generated - <x_i x_j>_noising at t,    db_i ~ <x_i>_generated - <x_i>_noising at t,

local in the two units of a coupling. The moments of noising are exact (`noising.moments`). In the modes of a
`ModeTable`, with Q L Q^T the covariance of the data and D the difference of covariances,

    dM = rate kT Q L^-1 D L^-1 Q^T,    db = rate kT Q L^-1 Q^T dm

is exact for a Gaussian in equilibrium (preconditioned). The plain local rule is dM = rate kT D / l^2, db =
rate kT dm / l with l the largest eigenvalue. Steps are limited to differences of one variance.
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

    Mismatch: |D|_F / |C|_F of the class covariances at t_f, mean over the classes, with D the difference of
    covariances about the means of the data.
    """

    number: int
    mismatch: float
    held_out: float | None


class Refinement(NamedTuple):
    """The refined control and its rounds; the last entry follows the last change."""

    control: ModeTable
    rounds: list[Round]


def target_moments(
    control: ModeTable,
    fields: Float[np.ndarray, "P N"],
    conditions: Int[np.ndarray, " P"],
    schedule: Schedule,
    means: Float[np.ndarray, "segments K r"] | None = None,
) -> TargetMoments:
    """Exact moments of noising for images of given conditions, about their means or the given `means`.

    Raises InputError for units that are not alike.
    Cost: one interpolation per image, unit and segment, and P N r multiply–adds.
    """
    units, segments = control.reference, control.segments
    J2, J4, mobility = units.alike()
    largest = float(np.abs(fields).max())
    kinds = [UnitKind(J2, J4, mobility)]
    (table,) = unit_moments(kinds, float(units.kT), schedule, largest * 1.01, segments=segments)
    grid = np.linspace(-largest, largest, 4001)
    moments = table.at(grid)
    basis = np.asarray(control.basis, float)
    classes = np.asarray(control.classes)[conditions]
    mean, covariance = [], []
    for segment in range(segments):
        time = schedule.t_f * (segments - 1 - segment) / segments
        place = int(np.abs(moments.times - time).argmin())
        m = np.interp(fields, grid, moments.mean[:, place]).astype(np.float32)
        variance = np.interp(fields, grid, moments.square[:, place]).astype(np.float32) - m**2
        modes = m @ basis
        mean.append(_means(modes, conditions, len(control.classes)) if means is None else means[segment])
        thermal = [variance[classes == label].mean(0) for label in control.labels]
        own = np.array([basis.T @ (row[:, None] * basis) for row in thermal])
        covariance.append(_covariances(control, modes - mean[-1][conditions], conditions) + own)
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

        key             of the generated samples; each round has new noise
        control, target the trained control, and the moments of its training images
        samples         generated in a round
        rate            of the steps
        preconditioned, modes
                        preconditioned steps in the leading `modes` of a class, or the plain local rule
        along           correct every segment by the moments at its end, or the last one by those at t_f
        held_out        moments of held-out images, for the mismatch only
        progress        is called with the number of the round

    Raises InputError for a rate that is not positive, less samples than conditions, or another schedule than
    that of the control.
    Cost: that of generating rounds x samples.
    """
    require(rate > 0, f"rate = {rate}: give a positive number, e.g. 0.3")
    require(
        samples >= len(control.classes),
        f"samples = {samples} for {len(control.classes)} conditions: give as many or more",
    )
    check_horizon(control, schedule)
    check_segments(schedule, control.segments)
    done: list[Round] = []
    conditions = np.repeat(np.arange(len(control.classes)), _shares(control, samples))
    segments = range(control.segments) if along else [control.segments - 1]
    for number in range(rounds + 1):
        states = _ends(jax.random.fold_in(key, number), control, conditions, schedule)
        rests = [x.astype(float) - mean[conditions] for x, mean in zip(states, target.mean, strict=True)]
        last = _covariances(control, rests[-1], conditions)
        unseen = None if held_out is None else _mismatch(last, held_out.covariance[-1])
        done.append(Round(number, _mismatch(last, target.covariance[-1]), unseen))
        for segment in segments if number < rounds else ():
            shift = _means(rests[segment], conditions, len(control.classes))
            covariance = _covariances(control, rests[segment], conditions)
            step = _step(control, shift, covariance, target.covariance[segment], preconditioned, modes)
            control = _changed(control, segment, *(rate * float(control.kT) * change for change in step))
        if progress is not None:
            progress(number)
    return Refinement(control, done)


def _shares(control: ModeTable, samples: int) -> np.ndarray:
    """Samples of each condition: by weight within its class, at least one, equally many for all classes."""
    weights, classes = np.asarray(control.weights, float), np.asarray(control.classes)
    share = np.zeros(len(classes))
    for label in control.labels:
        members = classes == label
        share[members] = weights[members] / weights[members].sum() / len(control.labels)
    return np.maximum(1, np.round(samples * share)).astype(int)


def _ends(key, control: ModeTable, conditions: np.ndarray, schedule: Schedule) -> list[np.ndarray]:
    """States in modes at the end of every segment, (samples, r) each."""
    start_key, path_key = jax.random.split(key)
    steps = schedule.steps // control.segments
    ends: list[list[np.ndarray]] = [[] for _ in range(control.segments)]
    size = min(_BATCH, len(conditions))
    for first in range(0, len(conditions), size):
        chosen = np.resize(conditions[first : first + size], size)
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
            end.append(np.asarray(x @ control.basis))
    return [np.concatenate(end)[: len(conditions)] for end in ends]


def _means(values: np.ndarray, conditions: np.ndarray, count: int) -> np.ndarray:
    """Means by condition, (count, r)."""
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, conditions, values)
    return sums / np.maximum(np.bincount(conditions, minlength=count), 1)[:, None]


def _covariances(control: ModeTable, rest: np.ndarray, conditions: np.ndarray) -> np.ndarray:
    """Second moments of deviations by class, (C, r, r)."""
    classes = np.asarray(control.classes)[conditions]
    members = [rest[classes == label] for label in control.labels]
    return np.array([values.T @ values / max(1, len(values)) for values in members])


def _mismatch(generated: np.ndarray, target: np.ndarray) -> float:
    norm = np.linalg.norm
    return float(np.mean([norm(a - b) / norm(b) for a, b in zip(generated, target, strict=True)]))


def _step(control: ModeTable, shift, generated, target, preconditioned: bool, modes: int):
    """The change of mixing by class and of biases by condition, in units of kT."""
    mixing, bias = np.zeros_like(target), np.zeros_like(shift)
    classes = np.asarray(control.classes)
    for place, label in enumerate(control.labels):
        size, vectors = np.linalg.eigh(target[place])
        difference = generated[place] - target[place]
        members = classes == label
        if preconditioned:
            root = vectors[:, -modes:] / np.sqrt(size[-modes:])
            mixing[place] = root @ _capped(root.T @ difference @ root) @ root.T
            bias[members] = np.clip(shift[members] @ root, -1, 1) @ root.T
        else:
            mixing[place] = _capped(difference / size[-1]) / size[-1]
            bias[members] = np.clip(shift[members] / np.sqrt(size[-1]), -1, 1) / np.sqrt(size[-1])
    return mixing, bias


def _capped(relative: np.ndarray) -> np.ndarray:
    """Relative differences of variance, limited to 1: beyond, the linear step is too long."""
    size, vectors = np.linalg.eigh(relative)
    return vectors * np.clip(size, -1, 1) @ vectors.T


def _changed(control: ModeTable, segment: int, mixing: np.ndarray, bias: np.ndarray) -> ModeTable:
    places = np.searchsorted(np.asarray(control.labels), np.asarray(control.classes))
    dtype = control.bias.dtype
    changed = (
        control.mixing.at[:, segment].add(jnp.asarray(mixing[places], dtype)),
        control.bias.at[:, segment].add(jnp.asarray(bias, dtype) @ control.basis.T),
    )
    return eqx.tree_at(lambda c: (c.mixing, c.bias), control, changed)
