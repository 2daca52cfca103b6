"""A state cut into stretches of units, which a time loop multiplies without copies."""

from __future__ import annotations

import operator
from collections.abc import Callable
from itertools import pairwise

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


def _by_entry(apply: Callable):
    def operation(self: SplitState, operand: SplitState | Array | float) -> SplitState:
        if isinstance(operand, SplitState):
            return SplitState(tuple(apply(a, b) for a, b in zip(self.arrays, operand.arrays, strict=True)))
        assert jnp.ndim(operand) == 0, "a vector over the units must be cut like the state"
        return SplitState(tuple(apply(a, operand) for a in self.arrays))

    return operation


class SplitState(eqx.Module):
    """States (*batch, N) cut along the units, with the arithmetic of the whole array.

    To cut a state and to join products are copies. In a step of full couplings they cost as much as the rest
    of the step without the products. A time loop that carries `SplitState` needs neither.
    The second operand is a `SplitState` cut in the same places, or one number.
    """

    arrays: tuple[Array, ...]

    @classmethod
    def of(cls, x: Float[Array, "*batch N"], cuts: tuple[int, ...]) -> SplitState:
        """`x` cut into stretches from each of `cuts` to the next; the first is 0, the last N."""
        return cls(tuple(x[..., low:high] for low, high in pairwise(cuts)))

    def joined(self) -> Float[Array, "*batch N"]:
        """The whole array."""
        return jnp.concatenate(self.arrays, -1)

    def __neg__(self) -> SplitState:
        """The negative."""
        return SplitState(tuple(-a for a in self.arrays))

    __add__ = __radd__ = _by_entry(operator.add)
    __sub__ = _by_entry(operator.sub)
    __mul__ = __rmul__ = _by_entry(operator.mul)
    __truediv__ = _by_entry(operator.truediv)
