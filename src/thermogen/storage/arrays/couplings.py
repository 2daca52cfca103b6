"""Computers, alone, in segments or one per label, as named arrays, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from thermogen.computer import Computer
from thermogen.control import Control, PerClass, Segments
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
_SHARED = ("J2", "J4", "mobility", "kT")


def kind(control: Control) -> str:
    """How the couplings are held, by name; InputError for couplings that cannot be saved."""
    computer = control.computers()[0]
    computer.check_quartic("a model folder")
    held = type(computer.couplings)
    for name, one in _KINDS.items():
        if one.type is held:
            return name
    raise InputError(f"couplings of type {held.__name__} cannot be saved: use {', '.join(_KINDS)}")


def shape(control: Control) -> dict[str, Any]:
    """Number of segments, and the labels if there is one control per label."""
    return {"segments": control.segments, "labels": list(control.labels) or None}


def pack(control: Control) -> Arrays:
    """All arrays by name; those of several computers carry the number of the computer, '3/bias'."""
    computers = control.computers()
    arrays: dict[str, Any] = {name: getattr(computers[0], name) for name in _SHARED}
    packed = _KINDS[kind(control)].pack
    for number, one in enumerate(computers):
        own = {"bias": one.bias, **packed(one.couplings)}
        arrays |= own if len(computers) == 1 else {f"{number}/{name}": array for name, array in own.items()}
    return {name: np.asarray(value, order="C") for name, value in arrays.items()}


def unpack(
    units: Units, kind: str, shape: Mapping[str, Any], duration: float, arrays: Arrays, source: str
) -> Control:
    """The control from its arrays; InputError, naming `source`, for what cannot be."""
    require(
        kind in _KINDS,
        f"{source} has couplings of kind {kind!r}, this version reads {', '.join(_KINDS)}: update thermogen",
    )
    segments, labels = shape["segments"], shape["labels"]
    count = segments * len(labels or [0])
    shared = {name: jnp.asarray(arrays[name]) for name in _SHARED}

    def computer(number: int) -> Computer:
        own = arrays if count == 1 else _parts_of(arrays, str(number), "/")
        couplings = _KINDS[kind].unpack(units, own, source)
        return Computer(couplings=couplings, bias=jnp.asarray(own["bias"]), **shared)

    def one(first: int) -> Computer | Segments:
        computers = [computer(first + segment) for segment in range(segments)]
        return computers[0] if segments == 1 else Segments.from_computers(computers, duration)

    if labels is None:
        return one(0)
    return PerClass.from_controls({label: one(i * segments) for i, label in enumerate(labels)})


def _named(parts: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {f"{prefix}.{link}": array for link, array in parts.items()}


def _parts_of(arrays: Arrays, prefix: str, mark: str = ".") -> Arrays:
    start = f"{prefix}{mark}"
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}


def _packed_blocks(couplings: BlockCouplings) -> dict[str, Any]:
    return _named(couplings.blocks, "couplings") | _named(couplings.masks, "wired")


def _blocks(units: Units, arrays: Arrays, source: str) -> Couplings:
    blocks, masks = (
        {link: jnp.asarray(array) for link, array in _parts_of(arrays, prefix).items()}
        for prefix in ("couplings", "wired")
    )
    return _checked(BlockCouplings(units, blocks, masks), source)


def _packed_edges(couplings: EdgeCouplings) -> dict[str, Any]:
    return {"couplings.values": couplings.values, "couplings.pairs": couplings.pairs}


def _edges(units: Units, arrays: Arrays, source: str) -> Couplings:
    # Checked edge by edge: a dense matrix is what edges are there to avoid.
    values, pairs = arrays["couplings.values"], arrays["couplings.pairs"]
    require(
        bool(np.isfinite(values).all()),
        f"couplings of {source} hold NaN or infinite values: replace them by numbers",
    )
    pairs = checked_pairs(pairs, units, f"pairs of {source}")
    return EdgeCouplings.from_pairs(units, pairs, values.dtype).with_values(values)


def _packed_factors(couplings: LowRankCouplings) -> dict[str, Any]:
    return _named(couplings.left, "left") | _named(couplings.right, "right")


def _factors(units: Units, arrays: Arrays, source: str) -> Couplings:
    # Checked by factors: a dense matrix is what low-rank couplings are there to avoid.
    left, right = (_parts_of(arrays, side) for side in ("left", "right"))
    return checked_factors(units, left, right, f"low-rank factors of {source}")


def _packed_modes(couplings: ModeCouplings) -> dict[str, Any]:
    # M is symmetric: its upper triangle says it all.
    return {
        "basis": couplings.basis,
        "mixing": np.asarray(couplings.mixing)[np.triu_indices(_modes(couplings))],
    }


def _modes(couplings: ModeCouplings) -> int:
    require(
        not couplings.batch,
        "each sample has couplings of its own: save the computer of one condition, or a table",
    )
    return couplings.basis.shape[1]


def _through_modes(units: Units, arrays: Arrays, source: str) -> Couplings:
    basis, triangle = arrays["basis"], arrays["mixing"]
    for name, array in (("basis", basis), ("mixing", triangle)):
        require(
            bool(np.isfinite(array).all()),
            f"{name} of {source} holds NaN or infinite values: replace them by numbers",
        )
    modes = basis.shape[1] if basis.ndim == 2 else 0
    if basis.shape != (units.total, modes) or triangle.shape != (modes * (modes + 1) // 2,):
        raise InputError(
            f"modes of {source} have shapes {basis.shape} and {triangle.shape}: "
            f"give ({units.total}, r) and r (r + 1) / 2 numbers"
        )
    mixing = np.zeros((modes, modes), triangle.dtype)
    rows, columns = np.triu_indices(modes)
    mixing[rows, columns] = mixing[columns, rows] = triangle
    return ModeCouplings(units, jnp.asarray(basis), jnp.asarray(mixing))


def _checked(couplings: Couplings, source: str) -> Couplings:
    checked_matrix(np.asarray(couplings.matrix()), couplings.units, f"coupling matrix of {source}")
    return couplings


class _Kind(NamedTuple):
    """A way of holding couplings in model folders: to arrays by name, and back from them, checked."""

    type: type[Couplings]
    pack: Callable[[Any], dict[str, Any]]
    unpack: Callable[[Units, Arrays, str], Couplings]


_KINDS = {
    "blocks": _Kind(BlockCouplings, _packed_blocks, _blocks),
    "edges": _Kind(EdgeCouplings, _packed_edges, _edges),
    "low-rank": _Kind(LowRankCouplings, _packed_factors, _factors),
    "modes": _Kind(ModeCouplings, _packed_modes, _through_modes),
}
