"""Controls with many conditions as named arrays, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from thermogen.computer import Computer
from thermogen.control import ConditionSet, Control, LabelFields, ModeNetwork, ModeTable
from thermogen.couplings import NoCouplings, Units
from thermogen.seeds import stream
from thermogen.storage.arrays import couplings
from thermogen.storage.arrays.couplings import SHARED, Arrays, check_finite, name_of, symmetric, triangle


@couplings.kind.register
def _(control: ConditionSet) -> str:
    return name_of(control, KINDS, "a control")


@couplings.shape.register
def _(control: ConditionSet) -> dict[str, Any]:
    return {
        "segments": control.segments,
        "labels": list(control.labels),
        "classes": list(control.classes),
        **KINDS[couplings.kind(control)].describe(control),
    }


@couplings.pack.register
def _(control: ConditionSet) -> Arrays:
    # Symmetric matrices are stored as their upper triangles.
    shared = {name: getattr(control.reference, name) for name in SHARED}
    arrays = {**shared, "weights": control.weights, **KINDS[couplings.kind(control)].pack(control)}
    return {name: np.asarray(value, order="C") for name, value in arrays.items()}


def unpack(
    units: Units, kind: str, shape: Mapping[str, Any], duration: float, arrays: Arrays, source: str
) -> Control:
    """The control from its arrays; InputError, naming `source`, for values that are not valid."""
    if kind not in KINDS:
        return couplings.unpack(units, kind, shape, duration, arrays, source)
    for name, array in arrays.items():
        check_finite(name, array, source)
    on_site = {name: jnp.asarray(arrays[name]) for name in SHARED}
    no_bias = jnp.zeros(units.total, on_site["J2"].dtype)
    common = {
        "reference": Computer(couplings=NoCouplings(units), bias=no_bias, **on_site),
        "weights": jnp.asarray(arrays["weights"]),
        "classes": tuple(shape["classes"]),
        "duration": duration,
    }
    return KINDS[kind].unpack(common, shape, arrays, source)


def _packed_modes(control: ModeTable | ModeNetwork) -> dict[str, Any]:
    return {"basis": control.basis, "mixing": triangle(control.mixing), "bias": control.bias}


def _modes(arrays: Arrays) -> dict[str, Any]:
    basis, bias = (jnp.asarray(arrays[name]) for name in ("basis", "bias"))
    return {"basis": basis, "mixing": symmetric(arrays["mixing"], basis.shape[1]), "bias": bias}


def _layers(network: Any) -> dict[str, Any]:
    """Weights and biases of a network by name."""
    return {
        f"network.{number}.{name}": getattr(layer, name)
        for number, layer in enumerate(network.layers)
        for name in ("weight", "bias")
    }


def _network(common: dict[str, Any], shape: Mapping[str, Any], arrays: Arrays, source: str) -> ModeNetwork:
    network = ModeNetwork.perceptron(
        stream(0, "training"), len(common["classes"]), len(arrays["bias"]), **shape["network"]
    )
    values = [jnp.asarray(arrays[name]) for name in _layers(network)]
    network = eqx.tree_at(lambda net: list(_layers(net).values()), network, values)
    return ModeNetwork(**common, **_modes(arrays), network=network)


def _fields(common: dict[str, Any], shape: Mapping[str, Any], arrays: Arrays, source: str) -> LabelFields:
    constant = {"segments": 1, "labels": None}
    units, duration = common["reference"].units, common["duration"]
    reference = couplings.unpack(units, shape["couplings"], constant, duration, arrays, source)
    assert isinstance(reference, Computer)
    own = {name: common[name] for name in ("weights", "classes")}
    return LabelFields(reference=reference, fields=jnp.asarray(arrays["fields"]), **own)


class _Kind(NamedTuple):
    """A kind of control in model folders: what the card says of it, to arrays by name, and back from them."""

    type: type[ConditionSet]
    describe: Callable[[Any], dict[str, Any]]
    pack: Callable[[Any], dict[str, Any]]
    unpack: Callable[[dict[str, Any], Mapping[str, Any], Arrays, str], ConditionSet]


KINDS = {
    "mode-table": _Kind(
        ModeTable,
        lambda control: {},
        _packed_modes,
        lambda common, shape, arrays, source: ModeTable(**common, **_modes(arrays)),
    ),
    "mode-network": _Kind(
        ModeNetwork,
        lambda control: {"network": {"width": control.network.width_size, "depth": control.network.depth}},
        lambda control: _packed_modes(control) | _layers(control.network),
        _network,
    ),
    "label-fields": _Kind(
        LabelFields,
        lambda control: {"couplings": couplings.kind(control.reference)},
        lambda control: {**couplings.pack(control.reference), "fields": control.fields},
        _fields,
    ),
}
"""Kinds of condition sets by their names in the card."""
