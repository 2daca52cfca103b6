"""Thermal noise with a contract: the noise of sample n at step k depends on (key, n, k) alone."""

from __future__ import annotations

import jax
from jaxtyping import Array, Float, Int, Key


def sample_keys(key: Key[Array, ""], samples: Int[Array, " batch"]) -> Key[Array, " batch"]:
    """One key per sample number, the same whatever the batch in which the sample is computed."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, samples)


def standard_normal(
    keys: Key[Array, " batch"], step: Int[Array, ""] | int, units: int, dtype
) -> Float[Array, "batch units"]:
    """Independent N(0, 1) increments of `units` units at `step`, one row per sample key."""

    def row(key):
        return jax.random.normal(jax.random.fold_in(key, step), (units,), dtype)

    return jax.vmap(row)(keys)
