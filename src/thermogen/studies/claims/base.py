"""What a claim is: who published it, which runs test it, and how their figures are judged."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from thermogen.data import Split
from thermogen.storage.cache import ResultCache, mark
from thermogen.storage.model import versions

HOLDS = "holds"
CONDITION = "holds with a condition"
FAILS = "does not hold"
UNTESTABLE = "not testable here"
VERDICTS = (HOLDS, CONDITION, FAILS, UNTESTABLE)

Figures = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """How much is run: independent seeds, samples, cycles of training and the time step.

    `seeds` is the number of independent trainings behind each figure, `pairs` that of seed pairs for
    paired claims; `samples` are drawn from each. Trainings take `cycles`, those of paired claims
    `long_cycles`, and those whose every update is rounded, which cannot be summed, `coarse_cycles`. `images`:
    a labelled set for claims that need many (None: the shipped digits).
    """

    quick: bool
    seeds: int
    pairs: int
    samples: int
    cycles: int
    long_cycles: int
    coarse_cycles: int
    dt: float
    images: Split | None = None

    @classmethod
    def of(cls, quick: bool, images: Split | None = None) -> Plan:
        """The quick plan: minutes, dt = 5e-3. The full one: an hour or two, dt = 1e-3 as published."""
        if quick:
            return cls(True, 3, 5, 100, 100, 300, 30, 5e-3, images)
        return cls(False, 5, 5, 100, 100, 300, 50, 1e-3, images)


class Run(NamedTuple):
    """One independent run behind a claim; equal `settings` mean the same run, whoever asks for it."""

    name: str
    settings: dict[str, Any]
    work: Callable[[Lab], Figures]

    @property
    def place(self) -> tuple[str, dict[str, Any]]:
        """Where it is kept: name and identity."""
        identity = {"name": self.name, "settings": self.settings, "thermogen": versions()["thermogen"]}
        return f"runs/{self.name}", identity

    @property
    def key(self) -> str:
        """The run's name with a mark of its identity: its place among results."""
        return f"{self.name}-{mark(self.place[1])}"


class Finding(NamedTuple):
    """What was found: verdict, our figure in one line, all figures with their intervals, why in words."""

    verdict: str
    ours: str
    figures: Figures
    words: str


@dataclass(frozen=True)
class Claim:
    """A published statement with a number in it, the runs that test it, and how they are judged."""

    number: int
    name: str
    published: str
    source: str
    runs: Callable[[Plan], list[Run]]
    judge: Callable[[Plan, dict[str, Figures]], Finding]


class Lab:
    """A folder in which runs and trained computers are kept, so that nothing is done twice.

    A run of other settings or of another version of the package is another run. An interrupted session loses
    the run it was in.
    """

    def __init__(self, folder: Path):
        self.folder, self.cache = folder, ResultCache(folder)

    def kept(self, run: Run) -> dict[str, Any] | None:
        """The record of an earlier run with the same settings."""
        return self.cache.kept(*run.place)

    def figures(self, run: Run) -> Figures:
        """The figures of a run: kept ones, or made now."""
        return self.cache.result(*run.place, lambda: run.work(self))

    def seconds(self, runs: Iterable[Run]) -> float:
        """Seconds of work behind kept runs, each counted once."""
        different = {run.key: run for run in runs}
        return sum(kept["seconds"] for run in different.values() if (kept := self.kept(run)))

    def forget(self, runs: Iterable[Run]) -> None:
        """Drop these runs, and the computers that any run trained."""
        for run in runs:
            self.cache.file(*run.place).unlink(missing_ok=True)
        shutil.rmtree(self.folder / "models", ignore_errors=True)
