"""The time step as the inner loop runs it: couplings laid out, the state cut where that saves copies."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from thermogen.computer import Control
from thermogen.couplings import Couplings, SplitState, narrowed
from thermogen.errors import InputError
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
    control = _for_split_state(control.prepared())
    if integrator.products == "bfloat16":
        control = _narrowed(control)
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
        # Drawn part by part: noise cut afterwards would be written and read once more.
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


def _each_couplings(control: Control, change: Callable[[Couplings], Couplings]) -> Control:
    def one(node: Any) -> Any:
        return change(node) if isinstance(node, Couplings) else node

    return jax.tree.map(one, control, is_leaf=lambda node: isinstance(node, Couplings))


def _for_split_state(control: Control) -> Control:
    return _each_couplings(control, lambda couplings: couplings.for_split_state())


def _narrowed(control: Control) -> Control:
    found = []
    control = _each_couplings(control, lambda couplings: found.append(couplings) or narrowed(couplings))
    if not found:
        raise InputError(
            f"products in bfloat16 are not available for {type(control).__name__}: use full products"
        )
    return control
