"""The folder of a run: claimed, worked in and finished, so that it can be killed and resumed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax

from thermogen.errors import InputError, require
from thermogen.parallel import first, is_first
from thermogen.storage.checkpoint import check_identity, replacing

WORK = ".unfinished"
"""Folder of checkpoints inside the run's folder, removed when the run is complete."""

_compiled = {"seconds": 0.0, "listening": False}


def compile_seconds() -> float:
    """Seconds this process has spent tracing and compiling since the first call."""
    if not _compiled["listening"]:

        def add(event: str, duration_secs: float, **kwargs: Any) -> None:
            if event.startswith("/jax/core/compile/"):
                _compiled["seconds"] += duration_secs

        jax.monitoring.register_event_duration_secs_listener(add)
        _compiled["listening"] = True
    return _compiled["seconds"]


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` by `text` so that a reader or a kill sees the old file or the new one, never a part."""
    with replacing(path) as partial:
        partial.write_text(text)


class RunFolder:
    """A run in the folder `path`, known by its `identity` (all settings that decide its numbers).

    `outputs` are the names that a finished run leaves there; nothing else in the folder is ever touched.
    """

    def __init__(self, path: Path, identity: dict[str, Any], outputs: tuple[str, ...]):
        self.path = path
        self.work = path / WORK
        self.identity = json.loads(json.dumps(identity))
        self.outputs = outputs

    def claim(self, *, resume: bool, force: bool) -> dict[str, Any] | None:
        """Open the folder for this run; return the results if it is already finished and may be resumed.

        Of several processes the first does all that is done in the folder.
        Raises InputError if the folder holds something else, another run, or an unfinished one, unless
        `resume` continues it or `force` replaces it.
        """
        return first("the claim", lambda: self._claim(resume, force))

    def _claim(self, resume: bool, force: bool) -> dict[str, Any] | None:
        require(not (resume and force), "--resume and --force contradict each other: give one of them")
        require(not self.path.exists() or self.path.is_dir(), f"{self.path} is a file: choose another --out")
        results, record = self.path / "results.json", self.work / "run.json"
        if force:
            self.clear()
        elif record.exists():
            require(
                resume,
                f"{self.path} holds an unfinished run: go on with --resume, or start again with --force",
            )
            check_identity(self.path, json.loads(record.read_text())["identity"], self.identity)
            return None
        elif results.exists():
            require(
                resume, f"{self.path} holds a finished run: it is kept; choose another --out, or use --force"
            )
            stored = json.loads(results.read_text())
            check_identity(self.path, stored["identity"], self.identity)
            return stored
        elif self.path.exists() and any(self.path.iterdir()):
            raise InputError(f"{self.path} is not empty: it is kept; choose another --out, or use --force")
        self.work.mkdir(parents=True, exist_ok=True)
        self._save({"identity": self.identity, "seconds": {}})
        return None

    def _save(self, record: dict[str, Any]) -> None:
        write_atomically(self.work / "run.json", json.dumps(record))

    def _load(self) -> dict[str, Any]:
        return json.loads((self.work / "run.json").read_text())

    @contextmanager
    def clock(self, stage: str) -> Iterator[None]:
        """Add the time of a stage to the run's account, compilation apart; kept over interruptions."""
        begun, compiled = time.perf_counter(), compile_seconds()
        try:
            yield
        finally:
            compiling = compile_seconds() - compiled
            if is_first() and self.work.exists():
                record = self._load()
                seconds = record["seconds"]
                seconds["compile"] = seconds.get("compile", 0.0) + compiling
                spent = time.perf_counter() - begun - compiling
                seconds[stage] = seconds.get(stage, 0.0) + spent
                self._save(record)

    def seconds(self) -> dict[str, float]:
        """Seconds so far by stage, with `total`; of several processes those of the first."""
        return first("the clock", self._seconds)

    def _seconds(self) -> dict[str, float]:
        seconds = self._load()["seconds"]
        return {**seconds, "total": sum(seconds.values())}

    def progress_made(self) -> bool:
        """Whether any checkpoint has been stored."""
        return any(self.work.rglob("*.safetensors"))

    def clear(self) -> None:
        """Remove what a run leaves, and the folder if that was all it held."""
        if not is_first():
            return
        for name in (*self.outputs, "results.json", WORK):
            target = self.path / name
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()

    def finish(self, results: dict[str, Any]) -> None:
        """Write results.json, which makes the run finished, and remove the checkpoints."""
        if not is_first():
            return
        content = {**results, "identity": self.identity}
        write_atomically(self.path / "results.json", json.dumps(content, indent=2) + "\n")
        shutil.rmtree(self.work)
