"""Checkpoints: the leaves of a pytree in one safetensors file, replaced atomically, with a JSON header."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from thermogen.errors import InputError, require
from thermogen.parallel.exchange import arrays_of


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file for the new content of `path`: flushed to disk and renamed when the block ends."""
    partial = path.with_name(path.name + ".partial")
    yield partial
    with open(partial, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)


def save_checkpoint(path: Path, tree: PyTree, header: dict[str, Any]) -> None:
    """Write the array leaves of `tree` and `header`; a kill at any moment leaves the old file or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        save_file(arrays_of(tree), partial, metadata={"header": json.dumps(header)})


def load_checkpoint(path: Path, like: PyTree) -> tuple[PyTree, dict[str, Any]]:
    """The tree (of the structure of `like`) and the header; InputError for a damaged or foreign file."""
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})["header"])
            leaves = [jnp.asarray(file.get_tensor(name)) for name in sorted(file.keys())]
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise InputError(f"checkpoint {path} is damaged ({error}): start again with --force") from error
    expected, structure = jax.tree.flatten(like)
    if [leaf.shape for leaf in leaves] != [np.shape(leaf) for leaf in expected]:
        raise InputError(f"checkpoint {path} belongs to another computer: start again with --force")
    return jax.tree.unflatten(structure, leaves), header


def check_identity(path: Path, stored: dict[str, Any], current: dict[str, Any]) -> None:
    """InputError that names the first value in which a stored run differs from the current one."""
    old, new = _flat(stored), _flat(current)
    for name in sorted(old.keys() | new.keys()):
        require(
            old.get(name) == new.get(name),
            f"{path}: {name} was {old.get(name)!r} and is now {new.get(name)!r}; repeat the old value to "
            "resume, or start again with --force",
        )


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(tree, dict):
        return {prefix.rstrip("."): tree}
    return {k: v for name, below in tree.items() for k, v in _flat(below, f"{prefix}{name}.").items()}
