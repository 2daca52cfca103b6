"""Controls as named arrays, and back: the content of a model folder, checked when read."""

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
    """The name of the kind of control or couplings; InputError for one that cannot be saved."""
    return _module(control).kind(control)


def shape(control: Control) -> dict[str, Any]:
    """Number of segments and labels, and what else the arrays do not say."""
    return _module(control).shape(control)


def pack(control: Control) -> Arrays:
    """All arrays by name."""
    return _module(control).pack(control)


def digest(control: Control) -> str:
    """sha256 of all arrays of `pack` with their names. It identifies a trained computer."""
    sha256 = hashlib.sha256()
    for name, array in sorted(pack(control).items()):
        sha256.update(name.encode())
        sha256.update(np.ascontiguousarray(array).tobytes())
    return sha256.hexdigest()


def unpack(
    units: Units, kind: str, shape: Mapping[str, Any], duration: float, arrays: Arrays, source: str
) -> Control:
    """The control from its arrays; InputError, naming `source`, for values that are not valid."""
    module = condition_sets if kind in condition_sets.KINDS else couplings
    return module.unpack(units, kind, shape, duration, arrays, source)
