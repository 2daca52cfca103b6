"""Controls as named arrays, and back: what a model folder holds, checked when read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from thermogen.control import ConditionSet, Control
from thermogen.couplings import Units
from thermogen.storage.arrays import condition_sets as conditioned
from thermogen.storage.arrays import couplings
from thermogen.storage.arrays.couplings import Arrays

__all__ = ["Arrays", "digest", "kind", "pack", "shape", "unpack"]


def kind(control: Control) -> str:
    """How the couplings are held, by name; InputError for couplings that cannot be saved."""
    return conditioned.kind(control) if isinstance(control, ConditionSet) else couplings.kind(control)


def shape(control: Control) -> dict[str, Any]:
    """Number of segments and labels, and what else the arrays do not say."""
    return conditioned.shape(control) if isinstance(control, ConditionSet) else couplings.shape(control)


def pack(control: Control) -> Arrays:
    """All arrays by name."""
    return conditioned.pack(control) if isinstance(control, ConditionSet) else couplings.pack(control)


def digest(control: Control) -> str:
    """sha256 of all arrays of `pack` by name: what tells one trained computer from another."""
    found = hashlib.sha256()
    for name, array in sorted(pack(control).items()):
        found.update(name.encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def unpack(
    units: Units, kind: str, shape: Mapping[str, Any], duration: float, arrays: Arrays, source: str
) -> Control:
    """The control from its arrays; InputError, naming `source`, for what cannot be."""
    part = conditioned if conditioned.is_conditioned(kind) else couplings
    return part.unpack(units, kind, shape, duration, arrays, source)
