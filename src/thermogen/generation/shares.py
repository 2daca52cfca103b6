"""A generation in batches of one shape, shared by processes and devices, and stored when finished.

The shape, the program and the noise of a batch do not depend on the number of devices or processes. So the
results are bit-identical.
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
    """One batch: its group, its first place in the group, and its samples."""

    group: int
    first: int
    useful: Int[np.ndarray, " useful"]


@dataclass(frozen=True)
class SharedBatches:
    """The settings of the batches of a generation, and the folder of finished ones."""

    key: Key[Array, ""]
    groups: list[Group]
    tables: list[Timetable]
    conditions: Int[np.ndarray, " count"] | None
    schedule: Schedule
    method: Integrator
    batch: int
    film_samples: int
    idle: Computer | None
    clamp: Clamp | None
    checkpoint: Path | None

    def drawn(self, progress: Callable[[int, int], None]) -> list[tuple[BatchPlace, Batch]]:
        """Every batch with its samples, in order, those of other processes included.

        `progress(done, total)` counts the sample-steps of this process, scaled to the total.
        """
        pieces = [
            BatchPlace(place, start, group.members[start : start + self._size(place)])
            for place, group in enumerate(self.groups)
            for start in range(0, len(group.members), self._size(place))
        ]
        stored = [self._stored(piece) for piece in pieces]
        if self.checkpoint is not None:  # all processes need the same list, whatever is written meanwhile
            stored = first("kept samples", lambda: stored)
        arrays: dict[str, np.ndarray] = {}
        for share in gather("samples", lambda: Contribution(self._share(pieces, deal(stored), progress))):
            arrays |= share.arrays
        return [(piece, tree_of(arrays, self._blank(piece), f"{i}:")) for i, piece in enumerate(pieces)]

    def _share(
        self, pieces: list[BatchPlace], mine: list[int], progress: Callable[[int, int], None]
    ) -> dict[str, np.ndarray]:
        """The batches of these numbers, as arrays by number: read if they are stored, else run."""
        steps_of = [len(piece.useful) * self.schedule.steps for piece in pieces]
        total, own = sum(steps_of), sum(steps_of[number] for number in mine)
        batches = {
            number: load_checkpoint(self._file(pieces[number]), self._blank(pieces[number]))[0]
            for number in mine
            if self._stored(pieces[number])
        }
        done = sum(steps_of[number] for number in batches)
        for group in range(len(self.groups)):
            left = [number for number in mine if pieces[number].group == group and number not in batches]
            devices = stacked(len(left))
            for start in range(0, len(left), devices):
                now = left[start : start + devices]
                useful = sum(len(pieces[number].useful) for number in now)

                def tick(steps: int, useful=useful, done=done) -> None:
                    progress((done + useful * steps) * total // own, total)

                for number, batch in zip(
                    now, self._run([pieces[n] for n in now], devices, tick), strict=True
                ):
                    batches[number] = batch
                    if self.checkpoint is not None:
                        save_checkpoint(self._file(pieces[number]), batch, {})
                done += useful * self.schedule.steps
        return {
            name: leaf for i, batch in batches.items() for name, leaf in arrays_of(batch, f"{i}:").items()
        }

    def _run(self, pieces: list[BatchPlace], devices: int, tick: Callable[[int], None]) -> list[Batch]:
        """Batches of one group at once, each on its own device."""
        group, size = self.groups[pieces[0].group], self._size(pieces[0].group)
        # Batches have one shape and compile once; surplus samples and batches are dropped.
        full = [*pieces, *pieces[-1:] * (devices - len(pieces))]
        padded = np.concatenate([np.resize(piece.useful, size) for piece in full])
        control = group.control
        if self.conditions is not None:
            control = control.select(spread(self.conditions[padded], devices))
        result = run_batch(
            self.key,
            control,
            group.control.uncoupled() if self.idle is None else self.idle,
            spread(padded, devices),
            self.schedule,
            self.tables[pieces[0].group],
            self.method,
            min(self.film_samples, size),
            tick,
            None if self.clamp is None else (self.clamp, padded),
            devices,
        )
        return parted(jax.tree.map(np.asarray, result), devices)[: len(pieces)]

    def _size(self, group: int) -> int:
        return min(self.batch, len(self.groups[group].members))

    def _file(self, piece: BatchPlace) -> Path:
        assert self.checkpoint is not None
        return self.checkpoint / f"samples-{self.groups[piece.group].name}{piece.first:07d}.safetensors"

    def _stored(self, piece: BatchPlace) -> bool:
        return self.checkpoint is not None and self._file(piece).exists()

    def _blank(self, piece: BatchPlace) -> Batch:
        size, group = self._size(piece.group), self.groups[piece.group]
        shown = min(self.film_samples, size)
        return blank(size, group.control.units, shown, self.schedule, self.tables[piece.group])
