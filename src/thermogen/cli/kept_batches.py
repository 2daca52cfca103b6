"""Finished batches of unfinished samples, in a folder next to their file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from thermogen.errors import InputError, require
from thermogen.parallel import first, is_first
from thermogen.storage.checkpoint import check_identity
from thermogen.storage.run_folder import write_atomically

_RECORD = "run.json"


@contextmanager
def kept_batches(out: Path, identity: dict[str, Any], resume: bool, force: bool) -> Iterator[Path]:
    """The folder OUT.unfinished for the batches of the samples of `out`, removed at the end.

    identity: everything that decides the samples, as JSON values. `resume` uses the batches of an earlier
    call. A call that ends before its first batch leaves nothing.

    Raises InputError for batches of other samples, and for any at all without `resume` or `force`.
    """
    folder = out.with_name(out.name + ".unfinished")
    wanted = json.loads(json.dumps(identity))
    first("the claim", lambda: _claim(folder, wanted, resume, force))
    try:
        yield folder
    except BaseException:
        if is_first() and not _batches(folder):
            _remove(folder)
        raise
    if is_first():
        _remove(folder)


def _claim(folder: Path, wanted: dict[str, Any], resume: bool, force: bool) -> None:
    require(not (resume and force), "--resume and --force contradict each other: give one of them")
    require(
        not folder.exists() or folder.is_dir(), f"{folder} is in the way: move it, or choose another --out"
    )
    record = folder / _RECORD
    if _batches(folder) and not force:
        require(resume, f"{folder} holds unfinished samples: go on with --resume, or start with --force")
        try:
            stored = json.loads(record.read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"{record} is damaged ({error}): start again with --force") from error
        check_identity(folder, stored, wanted)
        return
    _remove(folder)
    folder.mkdir(exist_ok=True)
    write_atomically(record, json.dumps(wanted) + "\n")


def _batches(folder: Path) -> list[Path]:
    return list(folder.glob("samples-*.safetensors"))


def _remove(folder: Path) -> None:
    """Remove the files of samples, and the folder if it holds no others."""
    if not folder.exists():
        return
    ours = [*folder.glob("samples-*"), *folder.glob(f"{_RECORD}*")]
    if set(ours) == set(folder.iterdir()):
        shutil.rmtree(folder)
    else:
        for path in ours:
            path.unlink()
