"""A state held in stretches of units, so that a time loop multiplies each stretch where it lies."""

from __future__ import annotations

import operator
from collections.abc import Callable
from itertools import pairwise

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class SplitState(eqx.Module):
    """States (*batch, N) cut along the units; adds, subtracts, multiplies and divides like the whole array.

    Cutting a stretch out of a whole state is a copy, and so is putting products together again: in a step
    of full couplings the two cost as much as everything else besides the products. A time loop that carries
    `SplitState` does neither. The other operand is a `SplitState` cut in the same places, or one number.
    """

    arrays: tuple[Array, ...]

    @classmethod
    def of(cls, x: Float[Array, "*batch N"], cuts: tuple[int, ...]) -> SplitState:
        """`x` cut into stretches from each of `cuts` to the next; the first is 0, the last N."""
        return cls(tuple(x[..., low:high] for low, high in pairwise(cuts)))

    def joined(self) -> Float[Array, "*batch N"]:
        """The whole array."""
        return jnp.concatenate(self.arrays, -1)

    def _each(self, other: SplitState | Array | float, apply: Callable) -> SplitState:
        if isinstance(other, SplitState):
            return SplitState(tuple(apply(a, b) for a, b in zip(self.arrays, other.arrays, strict=True)))
        assert jnp.ndim(other) == 0, "a vector over the units must be cut like the state"
        return SplitState(tuple(apply(a, other) for a in self.arrays))

    def __add__(self, other: SplitState | Array | float) -> SplitState:
        """Sum."""
        return self._each(other, operator.add)

    def __sub__(self, other: SplitState | Array | float) -> SplitState:
        """Difference."""
        return self._each(other, operator.sub)

    def __mul__(self, other: SplitState | Array | float) -> SplitState:
        """Product, entry by entry."""
        return self._each(other, operator.mul)

    def __truediv__(self, other: SplitState | Array | float) -> SplitState:
        """Quotient, entry by entry."""
        return self._each(other, operator.truediv)

    def __neg__(self) -> SplitState:
        """The negative."""
        return SplitState(tuple(-a for a in self.arrays))

    __radd__ = __add__
    __rmul__ = __mul__
