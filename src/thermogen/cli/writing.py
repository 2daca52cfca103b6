"""Output files of the commands: checked before the work, written after it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from thermogen.errors import InputError, require
from thermogen.generation import Samples
from thermogen.report.films import write_gif, write_png_grid
from thermogen.storage.run_folder import write_atomically

FORMATS = (".npz", ".png", ".gif")


def check_file(path: Path | None, force: bool, formats: tuple[str, ...]) -> None:
    """InputError for a file of unknown kind, one that exists (without `force`), or one in no folder."""
    if path is None:
        return
    if path.suffix.lower() not in formats:
        raise InputError(f"{path} has no known ending: name it {' or '.join('FILE' + f for f in formats)}")
    require(not path.is_dir(), f"{path} is a folder: name a file")
    require(force or not path.exists(), f"{path} exists: it is kept; choose another name, or use --force")
    require(path.parent.is_dir(), f"folder {path.parent} does not exist: create it first")


def write_json(path: Path | None, results: dict[str, Any]) -> None:
    """Results to a file, if one was named."""
    if path is not None:
        write_atomically(path, json.dumps(results, indent=2) + "\n")


def write_samples(path: Path, force: bool) -> Callable[[Samples, tuple[int, int]], None]:
    """A writer of samples to `path`, in the format of its ending. The path is checked at once."""
    check_file(path, force, FORMATS)

    def write(samples: Samples, shape: tuple[int, int]) -> None:
        if path.suffix.lower() == ".png":
            write_png_grid(path, samples.visible, shape)
        elif path.suffix.lower() == ".gif":
            write_gif(path, samples.film, shape)
        else:
            arrays = {} if samples.labels is None else {"labels": samples.labels}
            arrays |= {name: getattr(samples, name) for name in ("visible", "hidden", "heat_kT", "work_kT")}
            np.savez_compressed(path, allow_pickle=False, image_shape=np.array(shape), **arrays)

    return write


def check_free_of(folder: Path, names: Sequence[str], force: bool) -> list[Path]:
    """The files of these names in a folder; InputError if one exists (without `force`)."""
    require(not folder.exists() or folder.is_dir(), f"{folder} is a file: name a folder")
    files = [folder / name for name in names]
    old = [file.name for file in files if file.exists()]
    require(force or not old, f"{folder} holds {', '.join(old)}: kept; choose another --out, or use --force")
    return files
