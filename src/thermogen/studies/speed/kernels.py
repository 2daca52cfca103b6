"""Kernels: the lower bounds of a time step, and all forms of the time step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from thermogen.computer import Computer, make_computer
from thermogen.couplings import LowRankCouplings, ModeCouplings, Units, planes, published_couplings
from thermogen.langevin import EulerMaruyama, Integrator, StochasticHeun, integrate, sample_keys
from thermogen.langevin.noise import NOISES, row_words
from thermogen.seeds import stream
from thermogen.studies.speed.timing import Works

STEPS = 50
"""Steps of one timed call."""
RANK = 3
"""Modes of each link of the low-rank computer: the rank of exact training of three digits."""
MODES = 128
"""Modes of the generator of all digits; every sample has its own mixing matrix."""

_run = eqx.filter_jit(integrate)


def _normal(seed: int, *shape: int) -> Float[Array, "*shape"]:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def computers(units: Units, batch: int) -> dict[str, Computer]:
    """Computers of one size with random couplings: the time does not depend on their values."""
    full = published_couplings(units)
    matrix = _normal(0, units.total, units.total) * (0.3 / units.total**0.5)
    visible, hidden, within = (
        _normal(seed, size, RANK) * 0.02
        for seed, size in ((1, units.visible), (2, units.hidden), (3, units.hidden))
    )
    low = LowRankCouplings(
        units,
        {"visible-hidden": visible, "hidden-hidden": within},
        {"visible-hidden": hidden, "hidden-hidden": -within},
    )
    modes = min(MODES, units.total)
    mixing = _normal(5, batch, modes, modes) * 0.05
    shared = ModeCouplings(units, _normal(6, units.total, modes) * units.total**-0.5, mixing)
    kinds = {"full": full.with_matrix(matrix + matrix.T), "low rank": low, "modes per sample": shared}
    side = int(units.visible**0.5)
    if side * side == units.visible:
        near = planes(units, side, side)
        kinds["planes"] = eqx.tree_at(lambda c: c.values, near, jnp.full_like(near.values, -0.1))
    made = {name: make_computer(couplings) for name, couplings in kinds.items()}
    return {**made, "none": made["full"].uncoupled()}


FORMS: tuple[tuple[str, str, Integrator], ...] = (
    ("full", "full", EulerMaruyama()),
    ("full, weak noise", "full", EulerMaruyama(noise="three-point")),
    ("full, bfloat16", "full", EulerMaruyama(products="bfloat16")),
    ("full, bfloat16, weak noise", "full", EulerMaruyama(noise="three-point", products="bfloat16")),
    ("full, Heun", "full", StochasticHeun()),
    ("low rank", "low rank", EulerMaruyama()),
    ("low rank, weak noise", "low rank", EulerMaruyama(noise="three-point")),
    ("low rank, Heun, weak noise", "low rank", StochasticHeun(noise="three-point")),
    ("modes per sample", "modes per sample", EulerMaruyama()),
    ("planes", "planes", EulerMaruyama()),
    ("no couplings", "none", EulerMaruyama()),
)
"""Forms of the step: name, computer and method."""


def steps(units: Units, batch: int) -> Works:
    """Each form of the time step, `STEPS` of them a call."""
    made = computers(units, batch)
    x = _normal(7, batch, units.total) * 0.3
    keys = sample_keys(stream(0, "speed"), jnp.arange(batch))

    def work(computer: Computer, method: Integrator) -> Callable[[], Any]:
        dt = jnp.asarray(1e-3)
        return lambda: (
            _run(keys, computer, x, steps=STEPS, dt=dt, integrator=method, observers={}, every=STEPS).final
        )

    return {name: work(made[kind], method) for name, kind, method in FORMS if kind in made}


def bounds(units: Units, batch: int) -> Works:
    """Lower bounds of a step, `STEPS` times a call: products of full couplings, noise, one pass of x.

    The products go from role to role and back: the compiler cannot omit one. Their sizes are those of the
    published wiring.
    """
    x = _normal(8, batch, units.total)
    keys = sample_keys(stream(1, "speed"), jnp.arange(batch))
    visible, hidden = units.visible, units.hidden
    there = _normal(9, hidden, visible) * hidden**-0.5
    back = _normal(10, visible, hidden) * visible**-0.5
    within = _normal(11, hidden, hidden) * hidden**-0.5

    @jax.jit
    def products(x: Array, there: Array, back: Array, within: Array) -> Array:
        def step(x, _):
            for matrix in (there, back, within):
                x = lax.dot(x.astype(matrix.dtype), matrix, preferred_element_type=jnp.float32)
            return x, None

        return lax.scan(step, x, length=STEPS)[0]

    @jax.jit
    def traffic(x: Array) -> Array:
        return lax.scan(lambda x, k: (x * 1.0001, None), x, jnp.arange(STEPS))[0]

    def noise(kind: str) -> Callable[[], Any]:
        @jax.jit
        def total(x, keys):
            def step(x, k):
                return x + NOISES[kind](row_words(keys, k), units.total, x.dtype), None

            return lax.scan(step, x, jnp.arange(STEPS))[0]

        return lambda: total(x, keys)

    start = x[:, :hidden] + 0
    narrow = tuple(matrix.astype(jnp.bfloat16) for matrix in (there, back, within))
    return {
        "products": lambda: products(start, there, back, within),
        "products, bfloat16": lambda: products(start, *narrow),
        "noise, gaussian": noise("gaussian"),
        "noise, three-point": noise("three-point"),
        "pass over the state": lambda: traffic(x),
    }


def multiply_adds(units: Units) -> int:
    """Entries that one product J x of the published wiring multiplies, per sample."""
    return 2 * units.visible * units.hidden + units.hidden**2
