"""Couplings and biases that are piecewise constant in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from thermogen.computer import Computer, ReferenceControl
from thermogen.couplings import Couplings
from thermogen.errors import require


def check_same_units(computers: Mapping[str, Computer]) -> None:
    """InputError, with the names of two computers, unless all have the same on-site parameters and kT."""
    first_name, first = next(iter(computers.items()))
    for name, computer in computers.items():
        for parameter in ("J2", "J4", "mobility", "kT"):
            require(
                np.array_equal(getattr(computer, parameter), getattr(first, parameter)),
                f"{name} has another {parameter} than {first_name}: use one for all",
            )


class Segments(ReferenceControl):
    """Couplings and biases that are constant in each of equal parts of the generation time.

    `couplings` and `bias` carry a leading axis of segments, in order of generation; the rest is shared in
    `reference`. Generation runs noising backwards: its first segment is trained on the last one of noising.
    """

    reference: Computer
    couplings: Couplings
    bias: Float[Array, "segments *batch N"]
    duration: float = eqx.field(static=True)  # pyright: ignore[reportIncompatibleMethodOverride]

    @classmethod
    def from_computers(cls, computers: Sequence[Computer], duration: float) -> Segments:
        """Segments from their computers in order of generation; `duration` is t_f.

        Raises InputError for no computer, and for computers of different topology or units.
        """
        require(len(computers) > 0, "no segment given: give one computer or more")
        require(duration > 0, f"duration = {duration}: give a positive time")
        first = computers[0]
        for number, computer in enumerate(computers):
            alike = jax.tree.structure(computer) == jax.tree.structure(first) and all(
                a.shape == b.shape
                for a, b in zip(jax.tree.leaves(computer), jax.tree.leaves(first), strict=True)
            )
            require(alike, f"segment {number} has another topology than segment 0: use one for all")
        check_same_units({f"segment {number}": computer for number, computer in enumerate(computers)})
        values = [eqx.filter(computer.couplings, eqx.is_inexact_array) for computer in computers]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *values)
        bias = jnp.stack([computer.bias for computer in computers])
        return cls(first, eqx.combine(stacked, first.couplings), bias, float(duration))

    @property
    def segments(self) -> int:
        """Number of segments."""
        return self.bias.shape[0]

    def segment(self, number: Array | int) -> Computer:
        """The computer of one segment."""
        couplings = jax.tree.map(
            lambda leaf: leaf[number] if eqx.is_inexact_array(leaf) else leaf, self.couplings
        )
        return eqx.tree_at(lambda c: (c.couplings, c.bias), self.reference, (couplings, self.bias[number]))

    def computers(self) -> list[Computer]:
        """The computers of all segments, in order of generation."""
        return [self.segment(number) for number in range(self.segments)]

    def number_at(self, t: Float[Array, "*times"] | float) -> Array:
        """The number of the segment in force at time t of generation; a boundary belongs to the later one."""
        place = jnp.asarray(t) * (self.segments / self.duration)
        return jnp.clip(jnp.floor(place + 1e-4), 0, self.segments - 1).astype(jnp.int32)

    def at(self, t: Float[Array, ""] | float) -> Computer:
        """The computer in force at time t of generation. Cost: a copy of its couplings."""
        return self.segment(self.number_at(t))

    def prepared(self) -> Segments:
        """The same with the couplings of every segment laid out for many products."""
        arrays, rest = eqx.partition(self.couplings, eqx.is_inexact_array)
        couplings = eqx.filter_vmap(lambda values: eqx.combine(values, rest).prepared())(arrays)
        # Other arrays than values, such as the numbers of units, are the same in every segment.
        couplings = jax.tree.map(lambda leaf: leaf if eqx.is_inexact_array(leaf) else leaf[0], couplings)
        return eqx.tree_at(lambda c: c.couplings, self, couplings)

    def reverse_gradient(
        self, x: Float[Array, "steps *batch N"], t: Float[Array, " steps"]
    ) -> Float[Array, "steps *batch N"]:
        """grad V(x_k) of the segment that generation is in at time t_f - t_k."""
        number = self.number_at(self.duration - t)

        def add(total, segment):
            in_force = (number == segment).reshape(-1, *(1,) * (x.ndim - 1))
            return total + jnp.where(in_force, self.segment(segment).gradient(x), 0), None

        return jax.lax.scan(add, jnp.zeros_like(x), jnp.arange(self.segments))[0]
