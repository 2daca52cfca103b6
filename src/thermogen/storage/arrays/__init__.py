"""Controls as named arrays, and back: the content of a model folder, checked when read."""

from __future__ import annotations

import hashlib

import numpy as np

from thermogen.control import Control
from thermogen.storage.arrays.condition_sets import unpack
from thermogen.storage.arrays.couplings import Arrays, kind, pack, shape

__all__ = ["Arrays", "digest", "kind", "pack", "shape", "unpack"]


def digest(control: Control) -> str:
    """sha256 of all arrays of `pack` with their names. It identifies a trained computer."""
    sha256 = hashlib.sha256()
    for name, array in sorted(pack(control).items()):
        sha256.update(name.encode())
        sha256.update(np.ascontiguousarray(array).tobytes())
    return sha256.hexdigest()
