"""Couplings of all units through few nodes, as they are before training: N r couplers for any N."""

from __future__ import annotations

import jax.numpy as jnp

from thermogen.couplings.base import Units
from thermogen.couplings.blocks import ends
from thermogen.couplings.lowrank import LowRankCouplings
from thermogen.couplings.modes import ModeCouplings
from thermogen.couplings.topology import LINKS
from thermogen.errors import require


def low_rank(units: Units, rank: int, *links: str, dtype=jnp.float32) -> LowRankCouplings:
    """Links held as factors of `rank` modes each (default: those of `published`), zero until trained.

    `training.solve` finds the factors, N r couplers instead of N^2 / 2. Raises InputError for an unknown
    link, one that joins a role without units, and a rank below 1 or above the number of units of a role.
    """
    standard = ["visible-hidden", "hidden-hidden"] + (["hidden-output"] if units.output else [])
    left, right = {}, {}
    for link in links or standard:
        require(link in LINKS, f"unknown link {link!r}: choose among {', '.join(LINKS)}")
        sizes = [getattr(units, role) for role in ends(link)]
        require(min(sizes) > 0, f"link {link!r} joins a role without units ({units}): drop it or add units")
        require(1 <= rank <= min(sizes), f"rank = {rank}: give 1 to {min(sizes)}, the units of link {link!r}")
        left[link], right[link] = (jnp.zeros((size, rank), dtype) for size in sizes)
    return LowRankCouplings(units, left, right)


def through_modes(units: Units, count: int, dtype=jnp.float32) -> ModeCouplings:
    """All units coupled through `count` summing nodes, J = B M B^T: N r couplers; zero until trained.

    `training.solve` finds B and M. Raises InputError unless 1 <= count <= N.
    """
    require(1 <= count <= units.total, f"modes = {count}: give 1 to {units.total}, the number of units")
    return ModeCouplings(units, jnp.zeros((units.total, count), dtype), jnp.zeros((count, count), dtype))
