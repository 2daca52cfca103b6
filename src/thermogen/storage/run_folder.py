"""The folder of a run: claimed, worked in and finished, so that a run can be killed and resumed."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import jax

from thermogen.errors import InputError, require
from thermogen.parallel import first, is_first
from thermogen.storage.checkpoint import check_identity, replacing

WORK = ".unfinished"
"""Folder of checkpoints inside the run's folder, removed when the run is complete."""


def compile_seconds() -> float:
    """Seconds that this process has spent on tracing and compiling since the first call."""
    return sum(_compile_times())


@cache
def _compile_times() -> list[float]:
    """The list to which JAX adds the seconds of every event of compilation."""
    times: list[float] = []

    def add(event: str, duration_secs: float, **kwargs: Any) -> None:
        if event.startswith("/jax/core/compile/"):
            times.append(duration_secs)

    jax.monitoring.register_event_duration_secs_listener(add)
    return times


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` by `text`. A reader or a kill sees the old file or the new one, never a mixture."""
    with replacing(path) as partial:
        partial.write_text(text)


class RunFolder:
    """A run in the folder `path`, with its `identity`: all settings that decide its numbers.

    `outputs` are the names that a finished run leaves there. Everything else in the folder stays untouched.
    """

    def __init__(self, path: Path, identity: dict[str, Any], outputs: tuple[str, ...]):
        self.path, self.work, self.outputs = path, path / WORK, outputs
        self.identity = json.loads(json.dumps(identity))
        self._record = self.work / "run.json"

    def claim(self, *, resume: bool, force: bool) -> dict[str, Any] | None:
        """Open the folder for this run. Return the results if the run is finished and may be resumed.

        Of several processes only the first works in the folder.
        Raises InputError if the folder holds other files, another run, or an unfinished one, unless `resume`
        continues it or `force` replaces it.
        """
        return first("the claim", lambda: self._claim(resume, force))

    def _claim(self, resume: bool, force: bool) -> dict[str, Any] | None:
        require(not (resume and force), "--resume and --force contradict each other: give one of them")
        require(not self.path.exists() or self.path.is_dir(), f"{self.path} is a file: choose another --out")
        results = self.path / "results.json"
        if force:
            self.clear()
        elif self._record.exists():
            require(
                resume,
                f"{self.path} holds an unfinished run: go on with --resume, or start again with --force",
            )
            check_identity(self.path, self._load()["identity"], self.identity)
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
        write_atomically(self._record, json.dumps(record))

    def _load(self) -> dict[str, Any]:
        return json.loads(self._record.read_text())

    @contextmanager
    def clock(self, stage: str) -> Iterator[None]:
        """Add the time of a stage to the record of the run, with compilation apart; resumed runs add on."""
        begun, compiled = time.perf_counter(), compile_seconds()
        try:
            yield
        finally:
            compiling = compile_seconds() - compiled
            if is_first() and self.work.exists():
                record = self._load()
                seconds = record["seconds"]
                spent = time.perf_counter() - begun - compiling
                for name, more in (("compile", compiling), (stage, spent)):
                    seconds[name] = seconds.get(name, 0.0) + more
                self._save(record)

    def seconds(self) -> dict[str, float]:
        """Seconds so far by stage, and their `total`; of several processes those of the first."""
        seconds = first("the clock", lambda: self._load()["seconds"])
        return {**seconds, "total": sum(seconds.values())}

    def progress_made(self) -> bool:
        """Whether any checkpoint has been stored."""
        return any(self.work.rglob("*.safetensors"))

    def clear(self) -> None:
        """Remove everything that a run leaves, and the folder if it is then empty."""
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
        if is_first():
            content = {**results, "identity": self.identity}
            write_atomically(self.path / "results.json", json.dumps(content, indent=2) + "\n")
            shutil.rmtree(self.work)
