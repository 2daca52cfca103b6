"""Controls as named arrays, and back: what a model folder holds, checked when read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from thermogen.control import ConditionSet, Control
from thermogen.couplings import Units
from thermogen.storage.arrays import condition_sets, couplings
from thermogen.storage.arrays.couplings import Arrays

__all__ = ["Arrays", "digest", "kind", "pack", "shape", "unpack"]


def _module(control: Control) -> Any:
    return condition_sets if isinstance(control, ConditionSet) else couplings


def kind(control: Control) -> str:
    """How the couplings are held, by name; InputError for couplings that cannot be saved."""
    return _module(control).kind(control)


def shape(control: Control) -> dict[str, Any]:
    """Number of segments and labels, and what else the arrays do not say."""
    return _module(control).shape(control)


def pack(control: Control) -> Arrays:
    """All arrays by name."""
    return _module(control).pack(control)


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
    module = condition_sets if condition_sets.is_condition_set(kind) else couplings
    return module.unpack(units, kind, shape, duration, arrays, source)
