"""Couplings in a shared low-rank basis, with a table of coefficients by condition and segment of time."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from thermogen.computer import Computer, Control
from thermogen.control.condition_set import ConditionSet
from thermogen.control.segments import Segments
from thermogen.couplings import ModeCouplings
from thermogen.errors import require


class ModeTable(ConditionSet):
    """J(c, t) = B M(c, t) B^T and b(c, t), constant in equal segments of t_f: one wiring, many computers.

    reference  the units, without couplings
    basis      B (N, r)
    mixing     M (conditions, segments, r, r), segments in order of generation
    bias       (conditions, segments, N)
    weights    probability of each condition
    classes    the class of each condition
    duration   t_f
    """

    reference: Computer
    basis: Float[Array, "N r"]
    mixing: Float[Array, "conditions segments r r"]
    bias: Float[Array, "conditions segments N"]
    weights: Float[Array, " conditions"]
    classes: tuple[int, ...] = eqx.field(static=True)
    duration: float = eqx.field(static=True)  # pyright: ignore[reportIncompatibleMethodOverride]

    def __check_init__(self) -> None:
        """Refuse arrays of different units, modes or conditions."""
        check_modes(self, self.basis)
        total, modes = self.basis.shape
        conditions, segments = self.mixing.shape[:2]
        shapes = {
            "mixing": (conditions, segments, modes, modes),
            "bias": (conditions, segments, total),
            "weights": (conditions,),
        }
        for name, shape in shapes.items():
            given = getattr(self, name).shape
            require(given == shape, f"{name} of the mode table has shape {given}: give {shape}")
        require(
            len(self.classes) == conditions,
            f"{len(self.classes)} classes for {conditions} conditions: name the class of each",
        )

    @property
    def segments(self) -> int:
        """Number of equal segments of t_f."""
        return self.mixing.shape[1]

    @property
    def parameters(self) -> int:
        """Number of parameters: the basis, mode couplings and biases by condition and segment."""
        conditions, segments, modes, _ = self.mixing.shape
        return conditions * segments * modes * (modes + 1) // 2 + self.bias.size + self.basis.size

    def condition(self, condition: Array | np.ndarray | int, segment: int) -> Computer:
        """The computer of one condition, or with batch axes for several, in one segment."""
        couplings = ModeCouplings(self.units, self.basis, self.mixing[condition, segment])
        return eqx.tree_at(
            lambda c: (c.couplings, c.bias), self.reference, (couplings, self.bias[condition, segment])
        )

    def select(self, conditions: Int[Array | np.ndarray, " n"] | None) -> Control:
        """The computers of a batch of samples, each with its own couplings and biases."""
        chosen = jnp.asarray(conditions)
        computers = [self.condition(chosen, segment) for segment in range(self.segments)]
        return computers[0] if len(computers) == 1 else Segments.from_computers(computers, self.duration)


def check_modes(control: Control, basis: Float[Array, "N r"]) -> None:
    """InputError for a basis of other units than the control has, or a duration that is not positive."""
    total, units = len(basis), control.units.total
    require(total == units, f"the basis is for {total} units, the computer has {units}: use one topology")
    require((control.duration or 0) > 0, f"duration = {control.duration}: give a positive time")
