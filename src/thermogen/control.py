"""Couplings and biases that change: piecewise constant in time, and one set per condition.

A control is what the simulator takes: something whose `at(t)` is the computer in force at time t of
generation. A `Computer` is the constant control.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from thermogen.computer import Computer
from thermogen.couplings import Couplings, Units
from thermogen.errors import InputError, require


class Segments(eqx.Module):
    """Couplings and biases that are constant in each of equal parts of the generation time.

    `couplings` and `bias` carry a leading axis of segments, in order of generation; the rest is shared in
    `reference`. Generation runs noising backwards: its first segment is trained on the last one of noising.
    """

    reference: Computer
    couplings: Couplings
    bias: Float[Array, "segments *batch N"]
    duration: float = eqx.field(static=True)

    @classmethod
    def from_computers(cls, computers: Sequence[Computer], duration: float) -> Segments:
        """Segments from their computers in order of generation; `duration` is t_f.

        Raises InputError for no computer, and for computers of different topology or units.
        """
        require(len(computers) > 0, "no segment given: give one computer or more")
        require(duration > 0, f"duration = {duration}: give a positive time")
        first = computers[0]
        for number, other in enumerate(computers):
            alike = jax.tree.structure(other) == jax.tree.structure(first) and all(
                a.shape == b.shape
                for a, b in zip(jax.tree.leaves(other), jax.tree.leaves(first), strict=True)
            )
            require(alike, f"segment {number} has another topology than segment 0: use one for all")
            for name in ("J2", "J4", "mobility", "kT"):
                require(
                    bool(jnp.array_equal(getattr(other, name), getattr(first, name))),
                    f"segment {number} has another {name} than segment 0: use one for all",
                )
        values = [eqx.filter(one.couplings, eqx.is_inexact_array) for one in computers]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *values)
        bias = jnp.stack([one.bias for one in computers])
        return cls(first, eqx.combine(stacked, first.couplings), bias, float(duration))

    @property
    def count(self) -> int:
        """Number of segments."""
        return self.bias.shape[0]

    @property
    def units(self) -> Units:
        """The units by role."""
        return self.reference.units

    @property
    def kT(self) -> Float[Array, ""]:
        """Thermal energy in E0."""
        return self.reference.kT

    def part(self, number: Array | int) -> Computer:
        """The computer of one segment."""
        couplings = jax.tree.map(
            lambda leaf: leaf[number] if eqx.is_inexact_array(leaf) else leaf, self.couplings
        )
        return eqx.tree_at(lambda c: (c.couplings, c.bias), self.reference, (couplings, self.bias[number]))

    def computers(self) -> list[Computer]:
        """The computers of all segments, in order of generation."""
        return [self.part(number) for number in range(self.count)]

    def number_at(self, t: Float[Array, "*times"] | float) -> Array:
        """Which segment is in force at time t of generation; boundaries open the later one."""
        place = jnp.asarray(t) * (self.count / self.duration)
        return jnp.clip(jnp.floor(place + 1e-4), 0, self.count - 1).astype(jnp.int32)

    def at(self, t: Float[Array, ""] | float) -> Computer:
        """The computer in force at time t of generation. Cost: a copy of its couplings."""
        return self.part(self.number_at(t))

    def prepared(self) -> Segments:
        """The same with the couplings of every segment laid out for many products."""
        arrays, rest = eqx.partition(self.couplings, eqx.is_inexact_array)
        couplings = eqx.filter_vmap(lambda one: eqx.combine(one, rest).prepared())(arrays)
        return eqx.tree_at(lambda c: c.couplings, self, couplings)

    def uncoupled(self) -> Computer:
        """The same units with J = 0 and b = 0."""
        return self.reference.uncoupled()


class Conditional(eqx.Module):
    """One control per condition, a class label: the device is set for what it is to draw."""

    controls: tuple[Computer | Segments, ...]
    labels: tuple[int, ...] = eqx.field(static=True)

    @classmethod
    def from_controls(cls, controls: Mapping[int, Computer | Segments]) -> Conditional:
        """From a mapping of labels to controls; InputError if it is empty."""
        require(len(controls) > 0, "no condition given: give a control for one label or more")
        return cls(tuple(controls.values()), tuple(int(label) for label in controls))

    @property
    def units(self) -> Units:
        """The units by role."""
        return self.controls[0].units

    @property
    def kT(self) -> Float[Array, ""]:
        """Thermal energy in E0."""
        return self.controls[0].kT

    def choose(self, label: int) -> Computer | Segments:
        """The control for a label; InputError for one that was not trained."""
        if label not in self.labels:
            known = ", ".join(map(str, self.labels))
            raise InputError(f"label {label} was not trained: choose among {known}")
        return self.controls[self.labels.index(label)]


Control = Computer | Segments | Conditional


def parts(control: Control) -> list[Computer]:
    """Every computer of a control, by condition, then by segment in order of generation."""
    if isinstance(control, Conditional):
        return [one for each in control.controls for one in parts(each)]
    return control.computers() if isinstance(control, Segments) else [control]


def couplers(control: Control) -> int:
    """Number of physical couplers: those of the computer that needs most, since the others reuse them."""
    return max(one.couplings.count() for one in parts(control))


def reverse_gradient(
    control: Computer | Segments, x: Float[Array, "steps *batch N"], t: Float[Array, " steps"]
) -> Float[Array, "steps *batch N"]:
    """grad V(x_k) under the couplings that are in force when generation undoes the noising of time t_k.

    That is at time t_f - t_k of generation. Cost: one product J x per state and segment.
    """
    if isinstance(control, Computer):
        return control.gradient(x)
    number = control.number_at(control.duration - t)

    def add(total, segment):
        mine = (number == segment).reshape(-1, *(1,) * (x.ndim - 1))
        return total + jnp.where(mine, control.part(segment).gradient(x), 0), None

    return jax.lax.scan(add, jnp.zeros_like(x), jnp.arange(control.count))[0]
