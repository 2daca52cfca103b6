"""What a claim is: who published it, which runs test it, and how their figures are judged."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from thermogen.data import Split
from thermogen.errors import InputError
from thermogen.storage.model import Model, versions
from thermogen.storage.run_folder import write_atomically

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
    def key(self) -> str:
        """The run's name with a mark of its settings: its file, and its place among results."""
        return f"{self.name}-{_mark(self.settings)}"


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

    A run is one JSON file with its settings and figures, written whole; an interrupted session loses the run
    it was in. A kept run of other settings or of another version of the package is not used.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def kept(self, run: Run) -> Figures | None:
        """What an earlier run with the same settings left: its figures, seconds and versions."""
        file = self._file(run)
        if not file.exists():
            return None
        try:
            content = json.loads(file.read_text())
            return content if content["identity"] == self._identity(run) else None
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{file} is damaged: remove it to run it again") from error

    def figures(self, run: Run) -> Figures:
        """The figures of a run: kept ones, or made now."""
        found = self.kept(run)
        if found is not None:
            return found["figures"]
        begun = time.perf_counter()
        made = json.loads(json.dumps(run.work(self)))
        file = self._file(run)
        file.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "identity": self._identity(run),
            "figures": made,
            "seconds": time.perf_counter() - begun,
            "versions": versions(),
        }
        write_atomically(file, json.dumps(content, indent=1) + "\n")
        return made

    def seconds(self, runs: Iterable[Run]) -> float:
        """Seconds of work behind kept runs, each counted once."""
        different = {run.key: run for run in runs}
        return sum(found["seconds"] for run in different.values() if (found := self.kept(run)))

    def forget(self, runs: Iterable[Run]) -> None:
        """Drop these runs, and the computers that any run trained."""
        for run in runs:
            self._file(run).unlink(missing_ok=True)
        shutil.rmtree(self.folder / "models", ignore_errors=True)

    def model(self, identity: Figures) -> Model | None:
        """A computer kept by an earlier run."""
        folder = self._model(identity)
        return Model.from_pretrained(folder) if folder.exists() else None

    def keep_model(self, identity: Figures, model: Model) -> None:
        """Keep a trained computer for other runs."""
        folder = self._model(identity)
        folder.parent.mkdir(parents=True, exist_ok=True)
        model.save_pretrained(folder, force=True)

    def _model(self, identity: Figures) -> Path:
        return self.folder / "models" / _mark({**identity, "thermogen": versions()["thermogen"]})

    def _identity(self, run: Run) -> dict[str, Any]:
        return {
            "name": run.name,
            "settings": json.loads(json.dumps(run.settings)),
            "thermogen": versions()["thermogen"],
        }

    def _file(self, run: Run) -> Path:
        return self.folder / "runs" / f"{run.key}.json"


def _mark(settings: Figures) -> str:
    return sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]
