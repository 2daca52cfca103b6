"""Couplings as a device stores them: a few bits each, one scale per block, equal values for J_ij and J_ji."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array

from thermogen.couplings.blocks import BlockCouplings, ends
from thermogen.errors import require

MOST_BITS = 24  # a float32 holds no finer grid


def check_bits(bits: int) -> None:
    """InputError unless `bits` make a signed grid that float32 can hold."""
    require(2 <= bits <= MOST_BITS, f"bits = {bits}: give 2 to {MOST_BITS} bits a coupling")


def mirrored(values: Array, link: str) -> Array:
    """One value for each physical coupler: within a role, J_ji takes the value of J_ij, i < j."""
    first, second = ends(link)
    if first != second:
        return values
    upper = jnp.triu(values, 1)
    return upper + upper.T


def quantised(
    couplings: BlockCouplings,
    bits: int,
    full_scale: float | None = None,
    dither: Mapping[str, Array] | None = None,
) -> BlockCouplings:
    """Couplings on a uniform signed grid of 2^bits - 1 levels, zero among them.

        J -> D clip(round(J / D), -L, L),   L = 2^(bits - 1) - 1,   D = full_scale / L

    full_scale: the largest coupling that can be stored, in E0 (None: the largest of each block). dither:
    uniform numbers in [0, 1) by link, in the shape of the block and mirrored; rounding is then stochastic,
    floor(J / D + u), right on average. Without it the nearest level is taken. All-zero blocks stay.
    Raises InputError for bits that make no grid and a full scale that is not positive.
    """
    check_bits(bits)
    require(full_scale is None or full_scale > 0, f"full_scale = {full_scale}: give a positive coupling")
    levels = 2 ** (bits - 1) - 1
    blocks = {}
    for link, block in couplings.blocks.items():
        largest = jnp.max(jnp.abs(block)) if full_scale is None else jnp.asarray(full_scale, block.dtype)
        step = jnp.where(largest > 0, largest, 1) / levels
        place = block / step
        level = jnp.round(place) if dither is None else jnp.floor(place + dither[link])
        blocks[link] = couplings.wired(link, step * jnp.clip(level, -levels, levels))
    return BlockCouplings(couplings.units, blocks, couplings.masks)
