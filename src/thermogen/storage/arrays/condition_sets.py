"""Controls with many conditions as named arrays, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thermogen.computer import Computer
from thermogen.control import ConditionSet, LabelFields, ModeNetwork, ModeTable
from thermogen.couplings import NoCouplings, Units
from thermogen.errors import InputError, require
from thermogen.seeds import stream
from thermogen.storage.arrays import couplings

Arrays = dict[str, np.ndarray]
_UNITS = ("J2", "J4", "mobility", "kT")


def kind(control: ConditionSet) -> str:
    """The name of the control's kind; InputError for one that cannot be saved."""
    for name, one in _KINDS.items():
        if one.type is type(control):
            return name
    raise InputError(f"a control of type {type(control).__name__} cannot be saved: use {', '.join(_KINDS)}")


def shape(control: ConditionSet) -> dict[str, Any]:
    """What the card says of a control besides its arrays."""
    return {
        "segments": control.segments,
        "labels": list(control.labels),
        "classes": list(control.classes),
        **_KINDS[kind(control)].describe(control),
    }


def pack(control: ConditionSet) -> Arrays:
    """All arrays by name. Symmetric matrices are stored as their upper triangles."""
    shared = {name: getattr(control.reference, name) for name in _UNITS}
    arrays = {**shared, "weights": control.weights, **_KINDS[kind(control)].pack(control)}
    return {name: np.asarray(value, order="C") for name, value in arrays.items()}


def is_condition_set(kind: str) -> bool:
    """Whether a card's kind of couplings is one of these."""
    return kind in _KINDS


def unpack(
    units: Units, kind: str, shape: Mapping[str, Any], duration: float, arrays: Arrays, source: str
) -> ConditionSet:
    """The control from its arrays; InputError, naming `source`, for values that are no numbers."""
    for name, array in arrays.items():
        finite = bool(np.isfinite(array).all())
        require(finite, f"{name} of {source} holds NaN or infinite values: train anew")
    on_site = {name: jnp.asarray(arrays[name]) for name in _UNITS}
    rest = jnp.zeros(units.total, on_site["J2"].dtype)
    common = {
        "reference": Computer(couplings=NoCouplings(units), bias=rest, **on_site),
        "weights": jnp.asarray(arrays["weights"]),
        "classes": tuple(shape["classes"]),
        "duration": duration,
    }
    return _KINDS[kind].unpack(common, shape, arrays, source)


def _triangles(matrices: Any) -> np.ndarray:
    rows, columns = np.triu_indices(matrices.shape[-1])
    return np.asarray(matrices)[..., rows, columns]


def _matrices(triangles: np.ndarray, size: int) -> jax.Array:
    rows, columns = np.triu_indices(size)
    full = np.zeros((*triangles.shape[:-1], size, size), triangles.dtype)
    full[..., rows, columns] = triangles
    full[..., columns, rows] = triangles
    return jnp.asarray(full)


def _packed_modes(control: ModeTable | ModeNetwork) -> dict[str, Any]:
    return {"basis": control.basis, "mixing": _triangles(control.mixing), "bias": control.bias}


def _modes(arrays: Arrays) -> dict[str, Any]:
    modes = arrays["basis"].shape[1]
    return {
        "basis": jnp.asarray(arrays["basis"]),
        "mixing": _matrices(arrays["mixing"], modes),
        "bias": jnp.asarray(arrays["bias"]),
    }


def _table(common: dict[str, Any], shape: Mapping[str, Any], arrays: Arrays, source: str) -> ModeTable:
    return ModeTable(**common, **_modes(arrays))


def _network_size(control: ModeNetwork) -> dict[str, Any]:
    return {"network": {"width": control.network.width_size, "depth": control.network.depth}}


def _packed_network(control: ModeNetwork) -> dict[str, Any]:
    layers = {}
    for number, layer in enumerate(control.network.layers):
        layers |= {f"network.{number}.weight": layer.weight, f"network.{number}.bias": layer.bias}
    return _packed_modes(control) | layers


def _network(common: dict[str, Any], shape: Mapping[str, Any], arrays: Arrays, source: str) -> ModeNetwork:
    network = ModeNetwork.perceptron(
        stream(0, "training"), len(common["classes"]), len(arrays["bias"]), **shape["network"]
    )
    values = [
        jnp.asarray(arrays[f"network.{number}.{name}"])
        for number in range(len(network.layers))
        for name in ("weight", "bias")
    ]
    network = eqx.tree_at(
        lambda net: [value for layer in net.layers for value in (layer.weight, layer.bias)], network, values
    )
    return ModeNetwork(**common, **_modes(arrays), network=network)


def _reference_kind(control: LabelFields) -> dict[str, Any]:
    return {"couplings": couplings.kind(control.reference)}


def _packed_fields(control: LabelFields) -> dict[str, Any]:
    return {**couplings.pack(control.reference), "fields": control.fields}


def _fields(common: dict[str, Any], shape: Mapping[str, Any], arrays: Arrays, source: str) -> LabelFields:
    alone = {"segments": 1, "labels": None}
    units, duration = common["reference"].units, common["duration"]
    reference = couplings.unpack(units, shape["couplings"], alone, duration, arrays, source)
    assert isinstance(reference, Computer)
    return LabelFields(
        reference=reference,
        fields=jnp.asarray(arrays["fields"]),
        weights=common["weights"],
        classes=common["classes"],
    )


class _Kind(NamedTuple):
    """A kind of control in model folders: what the card says of it, to arrays by name, and back from them."""

    type: type[ConditionSet]
    describe: Callable[[Any], dict[str, Any]]
    pack: Callable[[Any], dict[str, Any]]
    unpack: Callable[[dict[str, Any], Mapping[str, Any], Arrays, str], ConditionSet]


_KINDS = {
    "mode-table": _Kind(ModeTable, lambda control: {}, _packed_modes, _table),
    "mode-network": _Kind(ModeNetwork, _network_size, _packed_network, _network),
    "label-fields": _Kind(LabelFields, _reference_kind, _packed_fields, _fields),
}
