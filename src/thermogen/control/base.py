"""What every control can do."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from thermogen.computer import Computer
from thermogen.control.condition_set import ConditionSet
from thermogen.control.per_class import PerClass
from thermogen.control.segments import Segments

Control = Computer | Segments | PerClass | ConditionSet


def parts(control: Control) -> list[Computer]:
    """Every computer of a control, by condition, then by segment in order of generation.

    Of a `ConditionSet` one that of the first condition: the others are on the same wiring.
    """
    if isinstance(control, PerClass):
        return [one for each in control.controls for one in parts(each)]
    if isinstance(control, ConditionSet):
        return [control.first()]
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
        return total + jnp.where(mine, control.segment(segment).gradient(x), 0), None

    return jax.lax.scan(add, jnp.zeros_like(x), jnp.arange(control.count))[0]
