"""What a set of images says to exact training: moments of noising, averaged over all thermal noise.

In the noising process the units are independent given the image. With m, s, g the moments of one unit
(`thermogen.moments`) and u = 2 g - a f, brackets the mean over images, integrals over one segment of time,

    C_lj = int <m_l m_j> dt + delta_lj int <s_j - m_j^2> dt,    U_ij = int <u_i m_j> dt   (i != j),
    mbar = int <m> dt,   ubar = int <u> dt,   U_jj = int <a f_j m_j> dt - [<s_j>] / mu_j from begin to end.

Units may differ in J2, J4 and mobility mu: the moments are those of each unit's own relaxation. The mobility
weighs the rows of the normal equations (`thermogen.training.normal`), it is no part of C and U.

The time integral of a product of two moments is a smooth kernel of the two fields, of rank 10 to 15: an image
adds that many columns to the factors of C and U. Sums over images add up, whoever computes them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from thermogen.checkpoint import load_checkpoint, save_checkpoint
from thermogen.computer import Computer
from thermogen.couplings import MOST_DENSE_UNITS, Units, check_dense
from thermogen.errors import InputError, require
from thermogen.noising import Schedule
from thermogen.training.features import EXACT, SUMMED, FeatureTables, features, products

_COLUMNS = 256  # factors of up to this many columns (or N / 2) are kept as they are
_FACTORS = 250_000_000  # numbers in one factor at most: two of them, in float64, take 4 GB
_NUMBERS = 24_000_000  # worked on at a time in dense form: 100 MB


@dataclass(frozen=True)
class Process:
    """The noising process that statistics belong to; only statistics of one process add up.

    mobility: one number if all units share it, or one per unit. segment: which of the `segments` equal parts
    of t_f, in order of noising time.
    """

    J2: tuple[float, ...]
    J4: tuple[float, ...]
    kT: float
    mobility: float | tuple[float, ...]
    t_f: float
    ramp_fraction: float
    segment: int = 0
    segments: int = 1

    @property
    def duration(self) -> float:
        """Length of the segment."""
        return self.t_f / self.segments

    @classmethod
    def of(cls, computer: Computer, schedule: Schedule, segment: int = 0, segments: int = 1) -> Process:
        """The noising process of a computer's units."""
        J2, J4 = (tuple(np.asarray(values, float).tolist()) for values in (computer.J2, computer.J4))
        kT, mobilities = float(computer.kT), np.asarray(computer.mobility, float).reshape(-1)
        shared = bool((mobilities == mobilities[0]).all())
        mobility = float(mobilities[0]) if shared else tuple(mobilities.tolist())
        return cls(J2, J4, kT, mobility, schedule.t_f, schedule.ramp_fraction, segment, segments)

    def check(self, other: Process, what: str, but: tuple[str, ...] = ()) -> None:
        """InputError naming the first thing, except those in `but`, in which `other` differs."""
        for name, mine in vars(self).items():
            theirs = getattr(other, name)
            if mine != theirs and name not in but:
                mine, theirs = (
                    f"that of {len(value)} units" if isinstance(value, tuple) else value
                    for value in (mine, theirs)
                )
                raise InputError(
                    f"{what} belong to noising with another {name}: {theirs}, not {mine}; compute them anew "
                    "for this computer and schedule"
                )


class Factored(NamedTuple):
    """E = M M^T and U = V M^T by factor M and response V, both (N, rank)."""

    factor: Float[Array | np.ndarray, "N rank"]
    response: Float[Array | np.ndarray, "N rank"]

    def dense(self) -> Dense:
        """The two products."""
        return Dense(self.factor @ self.factor.T, self.response @ self.factor.T)

    def lean(self) -> Factored:
        """The same E and U to a relative 1e-13 from fewer columns, in steps of 8; C has few directions."""
        factor, response = np.asarray(self.factor), np.asarray(self.response)
        grams = [one.T @ one for one in (factor, response)]
        size, turn = np.linalg.eigh(sum(gram / max(np.trace(gram), 1e-300) for gram in grams))
        count = -(-int((size > 1e-13 * size[-1]).sum()) // 8) * 8
        kept = turn[:, ::-1][:, :count]
        return Factored(factor @ kept, response @ kept)

    def scaled(self, scale: Float[np.ndarray, " N"]) -> Factored:
        """E and U of the coordinates x_i / scale_i, whose forces are scale_i times those of x_i."""
        return Factored(self.factor / scale[:, None], self.response * scale[:, None])


class Dense(NamedTuple):
    """E and U as matrices, (N, N)."""

    second: Float[Array | np.ndarray, "N N"]
    cross: Float[Array | np.ndarray, "N N"]

    def dense(self) -> Dense:
        """Itself."""
        return self

    def scaled(self, scale: Float[np.ndarray, " N"]) -> Dense:
        """E and U of the coordinates x_i / scale_i, whose forces are scale_i times those of x_i."""
        return Dense(self.second / np.outer(scale, scale), self.cross * np.outer(scale, 1 / scale))


class UnitMeans(NamedTuple):
    """Means per unit, (N,): diagonal D of C = E + diag(D), mean mbar, drive ubar, stiffness U_jj."""

    diagonal: Float[np.ndarray, " N"]
    mean: Float[np.ndarray, " N"]
    drive: Float[np.ndarray, " N"]
    stiffness: Float[np.ndarray, " N"]


@dataclass(frozen=True)
class Statistics:
    """Means over `images` images: of pairs of units, factored or dense, and of units. See the module."""

    process: Process
    images: int
    pairs: Factored | Dense
    units: UnitMeans

    def second_moment(self) -> Float[np.ndarray, "N N"]:
        """C, the time integral of <x x^T>; InputError where N x N numbers do not fit."""
        self._check_size()
        return np.asarray(self.pairs.dense().second) + np.diag(self.units.diagonal)

    def cross_moment(self) -> Float[np.ndarray, "N N"]:
        """U, with its diagonal; InputError where N x N numbers do not fit."""
        self._check_size()
        cross = np.array(self.pairs.dense().cross)
        np.fill_diagonal(cross, self.units.stiffness)
        return cross

    def _check_size(self) -> None:
        check_dense(Units(len(self.units.mean)), "the N x N second moment")

    def merged(self, other: Statistics) -> Statistics:
        """Statistics of both sets of images together; InputError if their noising differs."""
        self.process.check(other.process, "the statistics to be merged")
        total = self.images + other.images
        mine, theirs = self.images / total, other.images / total
        units = UnitMeans(*(mine * a + theirs * b for a, b in zip(self.units, other.units, strict=True)))
        a, b = self.pairs, other.pairs
        if isinstance(a, Factored) and isinstance(b, Factored):
            pairs = Factored(
                *(np.concatenate([x * mine**0.5, y * theirs**0.5], 1) for x, y in zip(a, b, strict=True))
            )
            if pairs.factor.shape[1] > _most_columns(len(units.mean)):
                check_dense(Units(len(units.mean)), "the second moment of so many images")
                pairs = pairs.dense()
        else:
            pairs = Dense(*(mine * x + theirs * y for x, y in zip(a.dense(), b.dense(), strict=True)))
        return Statistics(self.process, total, pairs, units)


def statistics(
    computer: Computer,
    fields: Float[Array, "P N"] | Float[np.ndarray, "P N"] | Iterable[Float[np.ndarray, "_ N"]],
    schedule: Schedule,
    *,
    segments: int = 1,
    checkpoint: Path | None = None,
    identity: dict[str, Any] | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Statistics]:
    """Exact statistics of the noising of images with `fields`, one for each of `segments` parts of t_f.

    `fields` (P, N), or any number of such blocks, one after the other. A few images are kept as float64
    factors (relative error 1e-9), many are summed in dense form from float32 products (1e-6 an image).
    `progress(images done)` is called between chunks. With `checkpoint` (a file), dense sums are stored every
    ten seconds and on Ctrl-C, with `identity`; if the file exists, summation goes on from it.
    Units may differ in J2, J4 and mobility.

    Raises InputError for fields that are mis-shaped, not finite or all zero, for too many units, and for
    a checkpoint of other settings.
    Cost: one Fokker–Planck solution per kind of unit (1 s, or 10 ms if there are more than eight), then
    4 P N^2 x rank operations, rank about 11 in dense form: 0.5 ms an image for 1,296 units on two cores.
    Memory: 4 N^2 float64 per segment, whatever P. Of more than 16,384 units only as many images can be taken
    as factors of 2 x 2 GB hold: 16 N bytes and about 32 columns an image, 59 images of 131,072 units.
    """
    require(segments >= 1, f"segments = {segments}: give 1 or more")
    total = computer.units.total
    processes = [Process.of(computer, schedule, segment, segments) for segment in range(segments)]
    tables = FeatureTables(computer, schedule, segments)
    settings = {"settings": identity or {}, "processes": [asdict(process) for process in processes]}
    done = [] if checkpoint is None or not checkpoint.exists() else _load(checkpoint, settings, processes)
    stored, seen = done[0].images if done else 0, 0

    def save() -> None:
        if checkpoint is not None and done and isinstance(done[0].pairs, Dense):
            _save(checkpoint, settings, done)

    saved = time.perf_counter()
    try:
        for chunk in _chunks(fields, total, tables):
            seen += len(chunk)
            if seen <= stored:
                continue
            require(
                seen - len(chunk) >= stored,
                f"{checkpoint} ends within a block of images: give the same blocks, or start with --force",
            )
            new = [_of_chunk(process, chunk, tables) for process in processes]
            done = [old.merged(more) for old, more in zip(done, new, strict=True)] if done else new
            if progress is not None:
                progress(seen)
            if time.perf_counter() - saved > 10:
                save()
                saved = time.perf_counter()
    except KeyboardInterrupt:
        save()
        raise
    require(bool(done), "no image given: exact training needs at least one")
    return done


def _most_columns(total: int) -> int:
    return max(_COLUMNS, min(total // 2, _FACTORS // total))


def _chunks(fields, total: int, tables: FeatureTables):
    """The fields in checked float64 blocks of a size that memory allows, the tables covering each."""
    for block in [fields] if isinstance(fields, np.ndarray | jax.Array) else fields:
        block = np.asarray(block)
        if block.ndim != 2 or block.shape[1] != total:
            raise InputError(f"fields have shape {block.shape} for {total} units: give (images, {total})")
        require(bool(np.isfinite(block).all()), "fields hold NaN or infinite values: check the images")
        if not len(block):
            continue
        largest = float(np.abs(block).max())
        require(largest > 0, "largest field = 0: an image without contrast teaches nothing")
        if tables.solve(block):
            yield block
            continue
        tables.cover(largest)
        rank = tables.table(0, EXACT).rank
        size = len(block)
        if size * rank > _most_columns(total):
            require(
                total <= MOST_DENSE_UNITS,
                f"{size} images of {total} units need dense statistics, which do not fit in memory: "
                f"give up to {_most_columns(total) // rank} images, or up to {MOST_DENSE_UNITS} units",
            )
            size = min(size, max(1, _NUMBERS // (2 * total * rank)))
        for first in range(0, len(block), size):
            yield block[first : first + size].astype(float)


def _of_chunk(process: Process, fields: np.ndarray, tables: FeatureTables) -> Statistics:
    count, total = fields.shape
    direct = tables.solved(fields, process.segment)
    if direct is not None:
        M, V, means = direct
        pairs = Factored(*(one.reshape(-1, total).T / count**0.5 for one in (M, V)))
        kept = pairs if pairs.factor.shape[1] <= _most_columns(total) else pairs.dense()
        return Statistics(process, count, kept, UnitMeans(*means))
    exact = tables.table(process.segment, EXACT)
    few = count * exact.rank <= _most_columns(total)
    with jax.enable_x64(True):
        if few:
            M, V, means = features(tables.places(fields), exact)
            pairs = Factored(*(np.asarray(one).reshape(-1, total).T / count**0.5 for one in (M, V)))
        else:
            places = tables.places(fields.astype(np.float32))
            *sums, means = products(places, tables.table(process.segment, SUMMED))
            pairs = Dense(*(np.asarray(one, float) / count for one in sums))
    return Statistics(process, count, pairs, UnitMeans(*np.asarray(means, float)))


def _save(path: Path, settings: dict[str, Any], done: list[Statistics]) -> None:
    tree = [(*one.pairs.dense(), *one.units) for one in done]
    save_checkpoint(path, tree, {"statistics": settings, "images": done[0].images})


def _load(path: Path, settings: dict[str, Any], processes: list[Process]) -> list[Statistics]:
    total = len(processes[0].J2)
    like = [(*(np.empty((total, total)),) * 2, *(np.empty(total),) * 4) for _ in processes]
    with jax.enable_x64(True):
        tree, header = load_checkpoint(path, like)
    if header.get("statistics") != json.loads(json.dumps(settings)):
        raise InputError(f"{path} holds statistics of other settings: repeat those, or start with --force")
    rows = [[np.asarray(value) for value in row] for row in tree]
    return [
        Statistics(process, header["images"], Dense(*row[:2]), UnitMeans(*row[2:]))
        for process, row in zip(processes, rows, strict=True)
    ]
