"""Exact training in a shared basis: J = B M B^T, a matrix M and biases of its own for every condition.

The loss is the exact average of `training.exact.statistics`, restricted to r modes. With the
projections m_B = B^T m, u_B = B^T u of the moments of noising, its minimum is a Lyapunov equation of
r x r per condition,

    M C' + C' M = -(U' + U'^T),   C' = B^T (C - mbar mbar^T / T) B,   U' = B^T (U - ubar mbar^T / T) B,
    b = -(ubar + B M B^T mbar) / T,

so that thousands of conditions are trained in seconds, from all images and without trajectories.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from thermogen.computer import Computer
from thermogen.control import ModeTable
from thermogen.couplings import NoCouplings
from thermogen.errors import require
from thermogen.noising import Schedule, in_generation_order
from thermogen.training.exact.features import SUMMED, FeatureTables, Places, Table, unit_features

_CHUNK = 200


class ModeStatistics(NamedTuple):
    """Exact means over the images of each condition, in one segment of time of length `duration`.

    images: their numbers, (K,). second, cross: B^T C B and B^T U B, (K, r, r), not C' and U'.
    mean, drive: int <m> dt, int <u> dt, (K, N).
    """

    images: Int[np.ndarray, " K"]
    second: Float[np.ndarray, "K r r"]
    cross: Float[np.ndarray, "K r r"]
    mean: Float[np.ndarray, "K N"]
    drive: Float[np.ndarray, "K N"]
    duration: float


def mode_basis(fields: Float[np.ndarray, "P N"], rank: int, sample: int = 10_000) -> Float[np.ndarray, "N r"]:
    """The leading eigenvectors of the second moment of the fields.

    From at most `sample` fields, evenly spaced. Raises InputError for a rank that does not fit.
    """
    total = fields.shape[1]
    require(1 <= rank <= total, f"modes = {rank}: give 1 to {total}, the number of units")
    chosen = np.asarray(fields[:: -(-len(fields) // sample)], float)
    _, vectors = np.linalg.eigh(chosen.T @ chosen)
    return vectors[:, -rank:][:, ::-1]


def mode_statistics(
    computer: Computer,
    fields: Float[np.ndarray, "P N"],
    conditions: Int[np.ndarray, " P"],
    schedule: Schedule,
    basis: Float[np.ndarray, "N r"],
    *,
    segments: int = 1,
    progress: Callable[[int], None] | None = None,
) -> list[ModeStatistics]:
    """Statistics of every condition (0 to K - 1, one per image) in each segment, in order of noising time.

    `progress(images done)` is called between chunks. Raises InputError for fields of wrong shape and for
    units that differ in mobility.
    Cost: 2 P N r x rank of the kernel (about 11): 60,000 digits in 128 modes take 8 s on two cores.
    """
    require(
        fields.ndim == 2 and fields.shape[1] == computer.units.total and len(conditions) == len(fields),
        f"fields of shape {fields.shape} with {len(conditions)} conditions for {computer.units.total} units",
    )
    require(
        len(np.unique(np.asarray(computer.mobility))) == 1,
        "units differ in mobility, shared modes need one for all: train pairs instead (train_exact)",
    )
    tables = FeatureTables(computer, schedule, segments)
    tables.cover(float(np.abs(fields).max()))
    order = np.argsort(conditions, kind="stable")
    counts = np.bincount(conditions)
    require(bool((counts > 0).all()), "a condition has no image: number conditions from 0 without gaps")
    sums = [_Sums(counts, basis, tables.table(segment, SUMMED)) for segment in range(segments)]
    for first in range(0, len(order), _CHUNK):
        chosen = order[first : first + _CHUNK]
        places = tables.places(np.resize(fields[chosen], (_CHUNK, fields.shape[1])).astype(np.float32))
        for segment in sums:
            segment.add(places, conditions[chosen])
        if progress is not None:
            progress(min(first + _CHUNK, len(order)))
    return [segment.means(schedule.t_f / segments) for segment in sums]


class _Sums:
    """Running sums over images that come sorted by condition."""

    def __init__(self, counts: np.ndarray, basis: np.ndarray, table: Table):
        total, modes = basis.shape
        self.counts, self.basis, self.table = counts, basis, table
        self.second = np.zeros((len(counts), modes, modes))
        self.cross = np.zeros_like(self.second)
        self.units = np.zeros((5, len(counts), total))

    def add(self, places: Places, conditions: np.ndarray) -> None:
        present, member = np.unique(conditions, return_inverse=True)
        # One column for every condition that a chunk can hold, so that nothing compiles twice.
        onehot = np.zeros((_CHUNK, min(_CHUNK, len(self.counts))), np.float32)
        onehot[np.arange(len(member)), member] = 1
        m, u, units = _projected(places, self.table, onehot, jnp.asarray(self.basis, jnp.float32))
        m, u = np.asarray(m), np.asarray(u)  # (images, rank, r)
        self.units[:, present] += np.asarray(units)[:, : len(present)]
        edges = np.searchsorted(member, np.arange(len(present) + 1))
        for condition, low, high in zip(present, edges[:-1], edges[1:], strict=True):
            mean, drive = (values[low:high].reshape(-1, m.shape[-1]) for values in (m, u))
            self.second[condition] += mean.T @ mean
            self.cross[condition] += drive.T @ mean

    def means(self, duration: float) -> ModeStatistics:
        count = self.counts[:, None]
        variance, mean, drive, stiffness, paired = (sums / count for sums in self.units)
        # U_jj is not the product of two means: replace it.
        second, cross = (
            sums / count[..., None] + np.stack([self.basis.T @ (row[:, None] * self.basis) for row in rows])
            for sums, rows in ((self.second, variance), (self.cross, stiffness - paired))
        )
        return ModeStatistics(self.counts, second, cross, mean, drive, duration)


@eqx.filter_jit
def _projected(places: Places, table: Table, onehot, basis):
    """Features of m and u in the basis, (images, rank, r), and sums of five unit means by condition."""
    M, V, even = unit_features(places, table)
    mean, drive = (jnp.tensordot(jnp.asarray(table.integral), values, 1) for values in (M, V))
    units = jnp.stack([even[0], mean, drive, even[1], (M * V).sum(0)])
    sums = jnp.einsum("nk,unN->ukN", onehot, units, precision="highest")
    return *(jnp.einsum("fnN,Nr->nfr", values, basis, precision="highest") for values in (M, V)), sums


def solve_modes(
    computer: Computer,
    statistics: list[ModeStatistics],
    basis: Float[np.ndarray, "N r"],
    classes: Int[np.ndarray, " K"],
    *,
    ridge: float = 0.0,
    pool: float = 0.0,
) -> ModeTable:
    """The optimum for every condition and segment. `classes` (K,) are the classes of the conditions.

    `ridge` (in units of x^2) is additional variance along every mode; `pool` from 0 to 1 is the weight of the
    statistics of the class against those of the condition. Probability of a condition: its share of images.
    Raises InputError for a negative ridge or a pool outside 0 to 1. Cost: an (r, r) eigendecomposition each.
    """
    require(ridge >= 0, f"ridge = {ridge}: give 0 or more")
    require(0 <= pool <= 1, f"pool = {pool}: give a number from 0 to 1")
    mixings, biases = [], []
    images = statistics[0].images
    for segment in in_generation_order(statistics):
        second, cross = within(segment, basis)
        if pool:
            second, cross = (_pooled(moment, images, classes, pool) for moment in (second, cross))
        mixing = lyapunov(second + ridge * segment.duration * np.eye(second.shape[-1]), cross)
        coupled = (mixing @ (segment.mean @ basis)[..., None])[..., 0] @ basis.T
        mixings.append(mixing)
        biases.append(-(segment.drive + coupled) / segment.duration)
    reference = eqx.tree_at(lambda c: c.couplings, computer, NoCouplings(computer.units))
    values = np.stack(mixings, 1), np.stack(biases, 1), images / images.sum()
    return mode_table(reference, basis, *values, classes, sum(segment.duration for segment in statistics))


def mode_table(reference: Computer, basis, mixing, bias, weights, classes, duration: float) -> ModeTable:
    """A `ModeTable` in the precision of its reference."""
    arrays = {"basis": basis, "mixing": mixing, "bias": bias, "weights": weights}
    arrays = {name: jnp.asarray(values, reference.bias.dtype) for name, values in arrays.items()}
    labels = tuple(int(label) for label in classes)
    return ModeTable(reference=reference, classes=labels, duration=float(duration), **arrays)


def lyapunov(
    second: Float[np.ndarray, "*K r r"], cross: Float[np.ndarray, "*K r r"]
) -> Float[np.ndarray, "*K r r"]:
    """The symmetric M with M C' + C' M = -(U' + U'^T), for C' symmetric and positive definite."""
    size, vectors = np.linalg.eigh(second)
    turned = vectors.mT @ (cross + cross.mT) @ vectors
    mixing = -vectors @ (turned / (size[..., :, None] + size[..., None, :])) @ vectors.mT
    return (mixing + mixing.mT) / 2


def within(
    statistics: ModeStatistics, basis: np.ndarray
) -> tuple[Float[np.ndarray, "K r r"], Float[np.ndarray, "K r r"]]:
    """C' and U' of every condition: C and U with the biases at their optimum."""
    mean, drive, duration = statistics.mean @ basis, statistics.drive @ basis, statistics.duration
    second = statistics.second - mean[:, :, None] * mean[:, None, :] / duration
    return second, statistics.cross - drive[:, :, None] * mean[:, None, :] / duration


def _pooled(values: np.ndarray, images: np.ndarray, classes: np.ndarray, share: float) -> np.ndarray:
    mixed = (1 - share) * values
    for label in np.unique(classes):
        members = classes == label
        mixed[members] += share * np.tensordot(images[members] / images[members].sum(), values[members], 1)
    return mixed
