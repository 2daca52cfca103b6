"""Sums over images for exact training: in shares that processes deal out, stored on the way, gone on from."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float

from thermogen.computer import Computer
from thermogen.couplings import MOST_DENSE_UNITS
from thermogen.errors import InputError, require
from thermogen.noising import Schedule
from thermogen.parallel import gather, is_first, process_count, process_index
from thermogen.parallel.exchange import Contribution, arrays_of, tree_of
from thermogen.storage.checkpoint import load_checkpoint, save_checkpoint
from thermogen.training.exact.features import (
    EXACT,
    FIELDS_PER_KIND,
    SUMMED,
    DirectFeatures,
    FeatureTables,
    features,
    products,
)
from thermogen.training.exact.statistics import Dense, Factored, Process, Statistics, UnitMeans, most_columns

SHARES = 8
"""Parts in which a large set of images is summed: what processes can share, and how the sums round."""
_NUMBERS = 24_000_000  # worked on at a time in dense form: 100 MB


def statistics(
    computer: Computer,
    fields: Float[Array, "P N"] | Float[np.ndarray, "P N"] | Iterable[Float[np.ndarray, "_ N"]],
    schedule: Schedule,
    *,
    segments: int = 1,
    direct: int = FIELDS_PER_KIND,
    checkpoint: Path | None = None,
    identity: dict[str, Any] | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Statistics]:
    """Exact statistics of the noising of images with `fields`, one for each of `segments` parts of t_f.

        computer     units, which may differ in J2, J4 and mobility
        fields       (P, N) in E0, or any number of such blocks, one after the other
        segments     equal parts of t_f
        direct       up to so many fields per kind of unit are solved for as they are, more from a table
        checkpoint   a file for dense sums of whole shares: stored with `identity` every ten seconds and on
                     Ctrl-C; if it exists, summation goes on from it
        progress     is called between chunks with the number of images done

    A few images are kept as float64 factors (relative error 1e-9), many are summed in dense form from float32
    products (1e-6 an image).
    Images are summed in shares, an eighth of `fields` or one block each, and the shares added in order.
    Processes compute different shares and all get the sums: the same bits, however many.

    Raises InputError for fields that are mis-shaped, not finite or all zero, for too many units, and for
    a checkpoint of other settings.
    Cost: the moments of every kind of unit (0.5 s for one, 20 ms each for many), then 4 P N^2 x rank
    operations, rank about 11 in dense form: 0.5 ms an image for 1,296 units on two cores.
    Memory: 6 N^2 float64 per segment, whatever P, and 2 N^2 for each further process. Of more than 16,384
    units only as many images can be taken as factors of 2 x 2 GB hold: 16 N bytes and about 32 columns an
    image, 59 images of 131,072 units.
    """
    require(segments >= 1, f"segments = {segments}: give 1 or more")
    total = computer.units.total
    processes = [Process.of(computer, schedule, segment, segments) for segment in range(segments)]
    tables = FeatureTables(computer, schedule, segments, direct)
    settings = {"settings": identity or {}, "processes": [asdict(process) for process in processes]}
    done = [] if checkpoint is None else _kept(checkpoint, settings, processes)
    stored, seen = done[0].images if done else 0, 0

    def save() -> None:
        if checkpoint is not None and is_first() and whole and done and isinstance(done[0].pairs, Dense):
            _save(checkpoint, settings, done)

    saved = time.perf_counter()
    share: list[Statistics] = []
    waiting, whole = False, True
    try:
        for chunk in _chunks(fields, total, tables):
            seen += len(chunk.fields)
            if seen <= stored:
                continue
            require(
                seen - len(chunk.fields) >= stored,
                f"{checkpoint} ends within a block of images: give the same blocks, or start with --force",
            )
            if chunk.share % process_count() == process_index():
                new = [_of_chunk(process, chunk, tables) for process in processes]
                share = _together(share, new)
                del new
            waiting = True
            if chunk.ends_share and chunk.share % process_count() == process_count() - 1:
                whole = False  # sums are added to in place: interrupted there, they are not worth storing
                done, share, waiting = _all_shares(done, share, processes), [], False
                whole = True
                if time.perf_counter() - saved > 10:
                    save()
                    saved = time.perf_counter()
            if progress is not None:
                progress(seen)
        if waiting:
            done = _all_shares(done, share, processes)
    except KeyboardInterrupt:
        save()
        raise
    require(bool(done), "no image given: exact training needs at least one")
    return done


def _together(done: list[Statistics], more: list[Statistics]) -> list[Statistics]:
    return [old.absorb(new) for old, new in zip(done, more, strict=True)] if done else more


def _all_shares(
    done: list[Statistics], share: list[Statistics], processes: list[Process]
) -> list[Statistics]:
    """The sums so far and, in order, the share of each process."""
    if process_count() == 1:
        return _together(done, share)
    for part in gather("statistics", lambda: _packed(share)):
        if part.arrays:
            done = _together(done, _unpacked(part, processes))
    return done


def _packed(share: list[Statistics]) -> Contribution:
    """Statistics on their way to other processes."""
    arrays = {}
    for segment, one in enumerate(share):
        arrays |= arrays_of((one.pairs, one.units), f"{segment}:")
    factored = [isinstance(one.pairs, Factored) for one in share]
    return Contribution(arrays, {"images": share[0].images if share else 0, "factored": factored})


def _unpacked(part: Contribution, processes: list[Process]) -> list[Statistics]:
    empty = np.empty(0)
    found = []
    for segment, (process, factored) in enumerate(zip(processes, part.value["factored"], strict=True)):
        kind = Factored if factored else Dense
        like = kind(empty, empty), UnitMeans(empty, empty, empty, empty)
        pairs, units = tree_of(part.arrays, like, f"{segment}:")
        found.append(Statistics(process, part.value["images"], kind(*(one.copy() for one in pairs)), units))
    return found


class _Chunk(NamedTuple):
    """Fields of some images, the number of their share, and whether they end it; `direct` if not by tables.

    Share and end do not depend on who computes.
    """

    fields: np.ndarray
    share: int
    ends_share: bool
    direct: DirectFeatures | None = None


def _chunks(fields, total: int, tables: FeatureTables) -> Iterator[_Chunk]:
    """The fields in checked float64 chunks of a size that memory allows, the tables covering each."""
    whole = isinstance(fields, np.ndarray | jax.Array)
    share = 0
    for block in [fields] if whole else fields:
        block = np.asarray(block)
        if block.ndim != 2 or block.shape[1] != total:
            raise InputError(f"fields have shape {block.shape} for {total} units: give (images, {total})")
        require(bool(np.isfinite(block).all()), "fields hold NaN or infinite values: check the images")
        if not len(block):
            continue
        largest = float(np.abs(block).max())
        require(largest > 0, "largest field = 0: an image without contrast teaches nothing")
        if (direct := tables.direct(block)) is not None:
            yield _Chunk(block, share, True, direct)
            share += 1
            continue
        tables.cover(largest)
        rank = tables.table(0, EXACT).rank
        size = len(block)
        if size * rank > most_columns(total):
            require(
                total <= MOST_DENSE_UNITS,
                f"{size} images of {total} units need dense statistics, which do not fit in memory: "
                f"give up to {most_columns(total) // rank} images, or up to {MOST_DENSE_UNITS} units",
            )
            size = min(size, max(1, _NUMBERS // (2 * total * rank)))
        starts = range(0, len(block), size)
        parts = min(SHARES, len(starts)) if whole else 1
        for number, first in enumerate(starts):
            place, following = (parts * i // len(starts) for i in (number, number + 1))
            yield _Chunk(block[first : first + size].astype(float), share + place, following > place)
        share += parts


def _of_chunk(process: Process, chunk: _Chunk, tables: FeatureTables) -> Statistics:
    count, total = chunk.fields.shape
    if chunk.direct is not None:
        M, V, means = chunk.direct.features(process.segment)
        factored = Factored(*(_columns(part, count) for part in (M, V)))
        pairs = factored if factored.factor.shape[1] <= most_columns(total) else factored.dense()
        return Statistics(process, count, pairs, UnitMeans(*means))
    exact = tables.table(process.segment, EXACT)
    with jax.enable_x64(True):
        if count * exact.rank <= most_columns(total):
            M, V, means = features(tables.places(chunk.fields), exact)
            pairs = Factored(*(_columns(np.asarray(part), count) for part in (M, V)))
        else:
            places = tables.places(chunk.fields.astype(np.float32))
            *sums, means = products(places, tables.table(process.segment, SUMMED))
            pairs = Dense(*(np.asarray(part, float) / count for part in sums))
    return Statistics(process, count, pairs, UnitMeans(*np.asarray(means, float)))


def _columns(part: Float[np.ndarray, "rank images N"], count: int) -> Float[np.ndarray, "N columns"]:
    """Features as columns of a factor, row after row in memory, as they arrive where they are sent.

    Products of another layout round differently.
    """
    return np.ascontiguousarray(part.reshape(-1, part.shape[-1]).T) / count**0.5


def _save(path: Path, settings: dict[str, Any], done: list[Statistics]) -> None:
    tree = [(*one.pairs.dense(), *one.units) for one in done]
    save_checkpoint(path, tree, {"statistics": settings, "images": done[0].images})


def _kept(path: Path, settings: dict[str, Any], processes: list[Process]) -> list[Statistics]:
    """The sums that process 0 has stored, or none."""
    if process_count() == 1:
        return _load(path, settings, processes) if path.exists() else []

    def read() -> Contribution:
        return _packed(_load(path, settings, processes) if process_index() == 0 and path.exists() else [])

    stored = gather("stored statistics", read)[0]
    return _unpacked(stored, processes) if stored.arrays else []


def _load(path: Path, settings: dict[str, Any], processes: list[Process]) -> list[Statistics]:
    total = len(processes[0].J2)
    like = [(*(np.empty((total, total)),) * 2, *(np.empty(total),) * 4) for _ in processes]
    with jax.enable_x64(True):
        tree, header = load_checkpoint(path, like)
    if header.get("statistics") != json.loads(json.dumps(settings)):
        raise InputError(f"{path} holds statistics of other settings: repeat those, or start with --force")
    rows = [[np.array(value) for value in row] for row in tree]  # sums are added to in place
    return [
        Statistics(process, header["images"], Dense(*row[:2]), UnitMeans(*row[2:]))
        for process, row in zip(processes, rows, strict=True)
    ]
