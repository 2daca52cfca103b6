"""The cache: finished results in a folder, each with the identity of everything that decides it."""

from __future__ import annotations

import hashlib
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from thermogen.errors import InputError
from thermogen.parallel import jobs
from thermogen.storage.model import Model, checksum, versions
from thermogen.storage.run_folder import write_atomically

Identity = dict[str, Any]


class ResultCache:
    """Results in a folder, so that no work is done twice. Without a folder nothing is stored.

    The identity of a result is a JSON mapping of everything that decides it. A JSON file holds the identity,
    the result, seconds, versions, and a SHA-256 checksum of all of them. Its name ends in a mark of the
    identity, and may lead into a subfolder: 'runs/heat'. A result of another identity is not used. A kill
    leaves the old file or the new one. Every reading method raises InputError for a damaged file.
    """

    def __init__(self, folder: Path | None):
        self.folder = folder

    def file(self, name: str, identity: Identity, ending: str = ".json") -> Path:
        """The path of a result; only with a folder."""
        assert self.folder is not None
        return self.folder / f"{name}-{mark(identity)}{ending}"

    def kept(self, name: str, identity: Identity) -> dict[str, Any] | None:
        """The stored record: `content`, `seconds`, `versions`; None if there is none of this identity."""
        if self.folder is None or not (file := self.file(name, identity)).exists():
            return None
        with _reading(file):
            record = json.loads(file.read_text())
            if record["sha256"] != checksum(record):
                raise ValueError("the checksum differs")
            return record if record["identity"] == _as_json(identity) else None

    def result(self, name: str, identity: Identity, make: Callable[[], Any]) -> Any:
        """The stored result, or else that of `make()`, which is then stored. Both as JSON holds them."""
        kept = self.kept(name, identity)
        if kept is not None:
            return kept["content"]
        begun = time.perf_counter()
        record = {"identity": _as_json(identity), "content": _as_json(make())}
        if self.folder is not None:
            record |= {"seconds": time.perf_counter() - begun, "versions": versions()}
            file = self.file(name, identity)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, json.dumps({**record, "sha256": checksum(record)}, indent=1) + "\n")
        return record["content"]

    def array(self, name: str, identity: Identity, make: Callable[[], np.ndarray]) -> np.ndarray:
        """The same for an array, bit for bit; its file holds it in safetensors format, as base64."""

        def packed() -> str:
            return b64encode(save({"array": np.ascontiguousarray(make())})).decode()

        return load(b64decode(self.result(name, identity, packed)))["array"]

    def model(self, identity: Identity) -> Model | None:
        """The stored model of this identity, or None."""
        if self.folder is None or not (folder := self.file("models/model", identity, "")).exists():
            return None
        with _reading(folder):
            model = Model.from_pretrained(folder)
        return model if model.training.get("identity") == _as_json(identity) else None

    def keep_model(self, identity: Identity, model: Model) -> None:
        """Store a model as a model folder, with the identity in its `training`."""
        if self.folder is not None:
            named = replace(model, training={**model.training, "identity": _as_json(identity)})
            named.save_pretrained(self.file("models/model", identity, ""), force=True)


def mark(identity: Identity) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of an identity, for the name of its file."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (InputError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged: remove it to run it again") from error


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def share_jobs(
    work: Callable[[dict[str, Any]], Any],
    settings: Sequence[dict[str, Any]],
    *,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Any]:
    """`work(job)` for every `job` of `settings`, in their order, shared among the processes of the run.

    For sweeps over seeds and settings. Settings and results are JSON values. With `folder` each finished
    result is stored there under its settings. The same call then continues from the stored results, with
    any number of processes that see the folder. Change the folder when `work` changes.

        results = share_jobs(lambda job: heat(job["seed"], job["dt"]), settings, folder=Path("runs/heat"))

    Raises InputError for a damaged stored file; what `work` raises, in the other processes as ProcessError.
    """
    cache = ResultCache(folder)
    return jobs(
        "jobs",
        len(settings),
        lambda number: cache.result("job", settings[number], lambda: work(settings[number])),
        finished=lambda number: cache.kept("job", settings[number]) is not None,
        progress=progress,
    )
