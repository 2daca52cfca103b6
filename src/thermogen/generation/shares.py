"""A generation in pieces: batches of one shape, dealt out over processes and devices, kept when finished.

A batch is the same work wherever it runs: its shape, its program and the noise of its samples do not depend
on how many devices or processes there are. So neither do the results, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Int, Key

from thermogen.computer import Computer, Group
from thermogen.control import Clamp
from thermogen.generation.batch import Batch, Timetable, blank, parted, run_batch
from thermogen.langevin import Integrator
from thermogen.noising import Schedule
from thermogen.parallel import deal, first, gather, spread, stacked
from thermogen.parallel.exchange import Contribution, arrays_of, tree_of
from thermogen.storage.checkpoint import load_checkpoint, save_checkpoint


class BatchPlace(NamedTuple):
    """One batch: of which group, from which place in it, and which samples."""

    group: int
    first: int
    useful: Int[np.ndarray, " useful"]


@dataclass(frozen=True)
class SharedBatches:
    """All that decides the batches of a generation, and where finished ones are kept."""

    key: Key[Array, ""]
    groups: list[Group]
    tables: list[Timetable]
    conditions: Int[np.ndarray, " count"] | None
    schedule: Schedule
    method: Integrator
    batch: int
    film_samples: int
    idle: Computer | None
    hold: Clamp | None
    checkpoint: Path | None

    def drawn(self, progress: Callable[[int, int], None]) -> list[tuple[BatchPlace, Batch]]:
        """Every batch with its samples, in order; those that another process has run are received.

        `progress(done, total)` in steps of samples, as far as this process sees.
        """
        pieces = [
            BatchPlace(place, start, group.members[start : start + self._size(place)])
            for place, group in enumerate(self.groups)
            for start in range(0, len(group.members), self._size(place))
        ]
        kept = [self._kept(piece) for piece in pieces]
        if self.checkpoint is not None:  # all must deal alike, whatever is written meanwhile
            kept = first("kept samples", lambda: kept)
        arrays: dict[str, np.ndarray] = {}
        for part in gather("samples", lambda: Contribution(self._share(pieces, deal(kept), progress))):
            arrays |= part.arrays
        return [(piece, tree_of(arrays, self._blank(piece), f"{i}:")) for i, piece in enumerate(pieces)]

    def _share(
        self, pieces: list[BatchPlace], mine: list[int], progress: Callable[[int, int], None]
    ) -> dict[str, np.ndarray]:
        """The batches of these numbers, as arrays by number: read if they are kept, else run."""
        total = sum(len(piece.useful) for piece in pieces) * self.schedule.steps
        own = sum(len(pieces[number].useful) for number in mine) * self.schedule.steps
        done, found = 0, {}
        for number in mine:
            if self._kept(pieces[number]):
                found[number] = load_checkpoint(self._file(pieces[number]), self._blank(pieces[number]))[0]
                done += len(pieces[number].useful) * self.schedule.steps
        for group in range(len(self.groups)):
            left = [number for number in mine if pieces[number].group == group and number not in found]
            devices = stacked(len(left))
            for start in range(0, len(left), devices):
                now = left[start : start + devices]
                useful = sum(len(pieces[number].useful) for number in now)

                def tick(steps: int, useful=useful, done=done) -> None:
                    progress((done + useful * steps) * total // own, total)

                for number, one in zip(now, self._run([pieces[n] for n in now], devices, tick), strict=True):
                    found[number] = one
                    if self.checkpoint is not None:
                        save_checkpoint(self._file(pieces[number]), one, {})
                done += useful * self.schedule.steps
        return {name: leaf for i, one in found.items() for name, leaf in arrays_of(one, f"{i}:").items()}

    def _run(self, pieces: list[BatchPlace], devices: int, tick: Callable[[int], None]) -> list[Batch]:
        """Batches of one group at once, each on a device of its own."""
        group, size = self.groups[pieces[0].group], self._size(pieces[0].group)
        # Batches have one shape, so nothing compiles twice; surplus samples and batches are dropped.
        full = [*pieces, *pieces[-1:] * (devices - len(pieces))]
        padded = np.concatenate([np.resize(piece.useful, size) for piece in full])
        control = group.control
        if self.conditions is not None:
            control = control.select(spread(self.conditions[padded], devices))
        found = run_batch(
            self.key,
            control,
            group.control.uncoupled() if self.idle is None else self.idle,
            spread(padded, devices),
            self.schedule,
            self.tables[pieces[0].group],
            self.method,
            min(self.film_samples, size),
            tick,
            None if self.hold is None else (self.hold, padded),
            devices,
        )
        return parted(jax.tree.map(np.asarray, found), devices)[: len(pieces)]

    def _size(self, group: int) -> int:
        return min(self.batch, len(self.groups[group].members))

    def _file(self, piece: BatchPlace) -> Path:
        assert self.checkpoint is not None
        return self.checkpoint / f"samples-{self.groups[piece.group].name}{piece.first:07d}.safetensors"

    def _kept(self, piece: BatchPlace) -> bool:
        return self.checkpoint is not None and self._file(piece).exists()

    def _blank(self, piece: BatchPlace) -> Batch:
        size, group = self._size(piece.group), self.groups[piece.group]
        shown = min(self.film_samples, size)
        return blank(size, group.control.units, shown, self.schedule, self.tables[piece.group])
