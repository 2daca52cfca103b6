"""Computers, alone, in segments or one for each class, as named arrays, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from thermogen.computer import Computer
from thermogen.control import Control, PerClass, Segments
from thermogen.control.segments import check_same_units
from thermogen.couplings import (
    BlockCouplings,
    Couplings,
    EdgeCouplings,
    LowRankCouplings,
    ModeCouplings,
    Units,
    checked_factors,
    checked_matrix,
    checked_pairs,
)
from thermogen.errors import InputError, require

Arrays = dict[str, np.ndarray]
SHARED = ("J2", "J4", "mobility", "kT")
"""Arrays that all computers of a control share."""


def name_of(stored: object, kinds: Mapping[str, Any], what: str) -> str:
    """The name of the kind in `kinds`; InputError for a kind that cannot be saved."""
    for name, kind in kinds.items():
        if kind.type is type(stored):
            return name
    raise InputError(f"{what} of type {type(stored).__name__} cannot be saved: use {', '.join(kinds)}")


@singledispatch
def kind(control: Control) -> str:
    """The name of the kind of control or couplings; InputError for one that cannot be saved."""
    computer = control.computers()[0]
    computer.check_quartic("a model folder")
    return name_of(computer.couplings, _KINDS, "couplings")


@singledispatch
def shape(control: Control) -> dict[str, Any]:
    """Number of segments, labels of the classes if any, and what else the arrays do not say."""
    return {"segments": control.segments, "labels": list(control.labels) or None}


@singledispatch
def pack(control: Control) -> Arrays:
    """All arrays by name; those of several computers carry the number of the computer, '3/bias'."""
    computers = control.computers()
    # A folder holds one J2, J4, mobility and kT for all.
    check_same_units({f"computer {number}": computer for number, computer in enumerate(computers)})
    arrays: dict[str, Any] = {name: getattr(computers[0], name) for name in SHARED}
    packed = _KINDS[kind(control)].pack
    for number, computer in enumerate(computers):
        own = {"bias": computer.bias, **packed(computer.couplings)}
        prefix = "" if len(computers) == 1 else f"{number}/"
        arrays |= {f"{prefix}{name}": array for name, array in own.items()}
    return {name: np.asarray(value, order="C") for name, value in arrays.items()}


def unpack(
    units: Units, kind: str, shape: Mapping[str, Any], duration: float, arrays: Arrays, source: str
) -> Control:
    """The control from its arrays; InputError, naming `source`, for values that are not valid."""
    require(
        kind in _KINDS,
        f"{source} has couplings of kind {kind!r}, this version reads {', '.join(_KINDS)}: update thermogen",
    )
    segments, labels = shape["segments"], shape["labels"]
    count = segments * len(labels or [0])
    shared = {name: jnp.asarray(arrays[name]) for name in SHARED}

    def computer(number: int) -> Computer:
        own = arrays if count == 1 else _below(arrays, f"{number}/")
        couplings = _KINDS[kind].unpack(units, own, source)
        return Computer(couplings=couplings, bias=jnp.asarray(own["bias"]), **shared)

    def control(first: int) -> Computer | Segments:
        computers = [computer(first + segment) for segment in range(segments)]
        return computers[0] if segments == 1 else Segments.from_computers(computers, duration)

    if labels is None:
        return control(0)
    return PerClass.from_controls({label: control(i * segments) for i, label in enumerate(labels)})


def check_finite(name: str, array: np.ndarray, source: str) -> None:
    """InputError for NaN and infinite values."""
    finite = bool(np.isfinite(array).all())
    require(finite, f"{name} of {source} hold NaN or infinite values: replace them by numbers")


def triangle(matrices: Any) -> np.ndarray:
    """The upper triangles of symmetric matrices (..., r, r), r (r + 1) / 2 numbers each."""
    rows, columns = np.triu_indices(matrices.shape[-1])
    return np.asarray(matrices)[..., rows, columns]


def symmetric(triangles: np.ndarray, size: int) -> jax.Array:
    """The symmetric matrices (..., size, size) of upper triangles."""
    rows, columns = np.triu_indices(size)
    matrices = np.zeros((*triangles.shape[:-1], size, size), triangles.dtype)
    matrices[..., rows, columns] = matrices[..., columns, rows] = triangles
    return jnp.asarray(matrices)


def _named(arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {f"{prefix}.{link}": array for link, array in arrays.items()}


def _below(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays whose names start with the prefix, by the rest of the name."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _blocks(units: Units, arrays: Arrays, source: str) -> Couplings:
    blocks, masks = (
        {link: jnp.asarray(array) for link, array in _below(arrays, prefix).items()}
        for prefix in ("couplings.", "wired.")
    )
    couplings = BlockCouplings(units, blocks, masks)
    checked_matrix(np.asarray(couplings.matrix()), units, f"coupling matrix of {source}")
    return couplings


def _edges(units: Units, arrays: Arrays, source: str) -> Couplings:
    # Checked edge by edge, since the dense matrix of edges may be too large.
    values = arrays["couplings.values"]
    check_finite("couplings", values, source)
    pairs = checked_pairs(arrays["couplings.pairs"], units, f"pairs of {source}")
    return EdgeCouplings.from_pairs(units, pairs, values.dtype).with_values(values)


def _factors(units: Units, arrays: Arrays, source: str) -> Couplings:
    # Checked by factors, since the dense matrix of factors may be too large.
    left, right = (_below(arrays, side) for side in ("left.", "right."))
    return checked_factors(units, left, right, f"low-rank factors of {source}")


def _packed_modes(couplings: ModeCouplings) -> dict[str, Any]:
    require(
        not couplings.batch,
        "each sample has couplings of its own: save the computer of one condition, or a table",
    )
    return {"basis": couplings.basis, "mixing": triangle(couplings.mixing)}


def _modes(units: Units, arrays: Arrays, source: str) -> Couplings:
    basis, mixing = arrays["basis"], arrays["mixing"]
    for name, array in (("basis", basis), ("mixing", mixing)):
        check_finite(name, array, source)
    modes = basis.shape[1] if basis.ndim == 2 else 0
    if basis.shape != (units.total, modes) or mixing.shape != (modes * (modes + 1) // 2,):
        raise InputError(
            f"modes of {source} have shapes {basis.shape} and {mixing.shape}: "
            f"give ({units.total}, r) and r (r + 1) / 2 numbers"
        )
    return ModeCouplings(units, jnp.asarray(basis), symmetric(mixing, modes))


class _Kind(NamedTuple):
    """A kind of couplings in model folders: to arrays by name, and back from them, checked."""

    type: type[Couplings]
    pack: Callable[[Any], dict[str, Any]]
    unpack: Callable[[Units, Arrays, str], Couplings]


_KINDS = {
    "blocks": _Kind(
        BlockCouplings, lambda c: _named(c.blocks, "couplings") | _named(c.masks, "wired"), _blocks
    ),
    "edges": _Kind(
        EdgeCouplings, lambda c: {"couplings.values": c.values, "couplings.pairs": c.pairs}, _edges
    ),
    "low-rank": _Kind(
        LowRankCouplings, lambda c: _named(c.left, "left") | _named(c.right, "right"), _factors
    ),
    "modes": _Kind(ModeCouplings, _packed_modes, _modes),
}
