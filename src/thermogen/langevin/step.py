"""The time step of the inner loop: couplings laid out, the state cut where that saves copies."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from thermogen.computer import Control
from thermogen.couplings import Couplings, SplitState, narrowed
from thermogen.errors import require
from thermogen.langevin.integrators import Integrator, State
from thermogen.langevin.noise import NOISES, row_words


class TimeStep(NamedTuple):
    """start(x, k): state and noise before step k; advance(x, noise, k): after it; whole(x): a plain array."""

    start: Callable[[Array, Any], tuple[State, Any]]
    advance: Callable[[State, Any, Any], tuple[State, Any]]
    whole: Callable[[State], Array]


def time_step(
    keys: Key[Array, " batch"],
    control: Control,
    x: Float[Array, "batch N"],
    *,
    dt: Float[Array, ""],
    integrator: Integrator,
) -> TimeStep:
    """The step of a batch of samples with these keys, from states shaped like `x`, at times k dt."""
    reference = control.at(0.0)
    control = _map_couplings(control.prepared(), lambda couplings: couplings.for_split_state())
    if integrator.products == "bfloat16":
        require(
            any(map(_is_couplings, jax.tree.leaves(control, is_leaf=_is_couplings))),
            f"products in bfloat16 are not available for {type(control).__name__}: use full products",
        )
        control = _map_couplings(control, narrowed)
    cuts = control.at(0.0).couplings.cuts
    whole_state = len(cuts) == 2
    units, dtype, draw = x.shape[-1], x.dtype, NOISES[integrator.noise]

    def cut(values: Array) -> State:
        return values if whole_state or values.ndim == 0 else SplitState.of(values, cuts)

    mobility = cut(reference.mobility)
    sigma = cut(jnp.sqrt(2 * reference.mobility * reference.kT * dt))

    def noise_at(k: Int[Array, ""] | int) -> State:
        rows = row_words(keys, k)
        if whole_state:
            return draw(rows, units, dtype)
        # Drawn stretch by stretch: noise cut afterwards would be written and read once more.
        return SplitState(tuple(draw(rows, high - low, dtype, low) for low, high in pairwise(cuts)))

    def drift(x: State, t: Array) -> State:
        now = control.at(t)
        force = now.split_force(x, cuts) if isinstance(x, SplitState) else now.force(x)
        return mobility * force

    def start(x: Array, k: Int[Array, ""] | int) -> tuple[State, Any]:
        return cut(x), noise_at(k) if integrator.uses_next_noise else ()

    def advance(x: State, noise: Any, k: Int[Array, ""]) -> tuple[State, Any]:
        if integrator.uses_next_noise:
            following = noise_at(k + 1)
        else:
            noise = following = noise_at(k)
        x = integrator.step(drift, x, k * dt, dt, sigma, noise, following)
        return x, following if integrator.uses_next_noise else ()

    def whole(x: State) -> Array:
        return x.joined() if isinstance(x, SplitState) else x

    return TimeStep(start, advance, whole)


def _is_couplings(node: Any) -> bool:
    return isinstance(node, Couplings)


def _map_couplings(control: Control, change: Callable[[Couplings], Couplings]) -> Control:
    return jax.tree.map(
        lambda node: change(node) if _is_couplings(node) else node, control, is_leaf=_is_couplings
    )
