"""The store of kept results: finished pieces of work in a folder, found again by all that decides them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save, save_file

from thermogen.errors import InputError
from thermogen.parallel import jobs
from thermogen.storage.checkpoint import replacing
from thermogen.storage.model import Model, checksum, versions
from thermogen.storage.run_folder import write_atomically

Identity = dict[str, Any]


class Kept(NamedTuple):
    """A kept result and the seconds of work behind it."""

    content: Any
    seconds: float


class ResultCache:
    """Results in a folder, so that no work is done twice; without a folder nothing is kept.

    The identity of a result is a mapping of all that decides it, as JSON can hold it. A file carries a name
    and a mark of the identity in its own name. It holds the identity, the result, seconds, versions and a
    SHA-256 checksum of all of them. A result of another identity is not used. A kill leaves the old file or
    the new one. A name may lead into a folder below: 'runs/heat'.

    All methods that read raise InputError for a damaged file.
    """

    def __init__(self, folder: Path | None):
        self.folder = folder

    def file(self, name: str, identity: Identity, ending: str = ".json") -> Path:
        """Where a result is kept; only with a folder."""
        assert self.folder is not None
        return self.folder / f"{name}-{mark(identity)}{ending}"

    def kept(self, name: str, identity: Identity) -> Kept | None:
        """The kept result, None if there is none of this identity."""
        if self.folder is None or not (file := self.file(name, identity)).exists():
            return None
        with _reading(file):
            record = _opened(file.read_text())
        return Kept(record["content"], record["seconds"]) if _belongs(record, identity) else None

    def result(self, name: str, identity: Identity, make: Callable[[], Any]) -> Any:
        """What `make()` returns, as JSON holds it: the kept result, or made and kept now."""
        kept = self.kept(name, identity)
        if kept is not None:
            return kept.content
        begun = time.perf_counter()
        content = _as_json(make())
        if self.folder is not None:
            file = self.file(name, identity)
            file.parent.mkdir(parents=True, exist_ok=True)
            record = _closed(identity, content, time.perf_counter() - begun)
            write_atomically(file, json.dumps(record, indent=1) + "\n")
        return content

    def array(self, name: str, identity: Identity, make: Callable[[], np.ndarray]) -> np.ndarray:
        """The same for one array, kept as a safetensors file, bit for bit."""
        file = None if self.folder is None else self.file(name, identity, ".safetensors")
        if file is not None and file.exists():
            with _reading(file), safe_open(file, framework="numpy") as opened:
                record = _opened((opened.metadata() or {})["record"])
                array = opened.get_tensor("array")
                _check(record["content"] == _digest(array))
            if _belongs(record, identity):
                return array
        begun = time.perf_counter()
        array = np.ascontiguousarray(make())
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            record = _closed(identity, _digest(array), time.perf_counter() - begun)
            with replacing(file) as partial:
                save_file({"array": array}, partial, metadata={"record": json.dumps(record)})
        return array

    def model(self, identity: Identity) -> Model | None:
        """The model kept beside the results, None if there is none of this identity."""
        if self.folder is None or not (folder := self._model_folder(identity)).exists():
            return None
        with _reading(folder):
            model = Model.from_pretrained(folder)
        return model if _belongs(model.training, identity) else None

    def keep_model(self, identity: Identity, model: Model) -> None:
        """Keep a model as a model folder, with the identity in its `training`."""
        if self.folder is not None:
            training = {**model.training, "identity": _as_json(identity)}
            replace(model, training=training).save_pretrained(self._model_folder(identity), force=True)

    def _model_folder(self, identity: Identity) -> Path:
        return self.file("models/model", identity, "")


def mark(identity: Identity) -> str:
    """Sixteen digits that stand for an identity in the name of its file."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def share_jobs(
    work: Callable[[dict[str, Any]], Any],
    settings: Sequence[dict[str, Any]],
    *,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Any]:
    """`work(job)` for every `job` of `settings`, shared out over the processes of the run, in their order.

    For sweeps over seeds and settings. Settings and results are what JSON can hold. With `folder` each
    result is kept there as it is finished, known by its settings: the same call goes on from what is kept,
    with any number of processes, which must see the same folder. Change the folder when `work` changes.

        results = tg.share_jobs(lambda job: heat(job["seed"], job["dt"]), settings, folder=Path("runs/heat"))

    Raises InputError for a kept file that is damaged; what `work` raises, in the other processes as
    ProcessError.
    """
    cache = ResultCache(folder)
    return jobs(
        "jobs",
        len(settings),
        lambda number: cache.result("job", settings[number], lambda: work(settings[number])),
        finished=lambda number: cache.kept("job", settings[number]) is not None,
        progress=progress,
    )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (InputError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged: remove it to run it again") from error


def _closed(identity: Identity, content: Any, seconds: float) -> dict[str, Any]:
    record = {
        "identity": _as_json(identity),
        "content": content,
        "seconds": seconds,
        "versions": versions(),
    }
    return {**record, "sha256": checksum(record)}


def _opened(text: str) -> dict[str, Any]:
    record = json.loads(text)
    _check(record["sha256"] == checksum(record))
    return record


def _check(valid: bool) -> None:
    if not valid:
        raise ValueError("the checksum differs")


def _belongs(record: dict[str, Any], identity: Identity) -> bool:
    return record.get("identity") == _as_json(identity)


def _digest(array: np.ndarray) -> str:
    """The checksum of an array with its shape and type."""
    return hashlib.sha256(save({"array": array})).hexdigest()


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))
