"""Who may be coupled to whom: the published wiring, other links, nearest-neighbour planes, any mask."""

from __future__ import annotations

from itertools import combinations_with_replacement

import jax.numpy as jnp
import numpy as np

from thermogen.couplings.base import ROLES, Couplings, Units
from thermogen.couplings.blocks import BlockCouplings, ends
from thermogen.couplings.edges import EdgeCouplings
from thermogen.errors import InputError, require

LINKS = tuple("-".join(pair) for pair in combinations_with_replacement(ROLES, 2))
"""Every possible link between roles, e.g. 'visible-hidden'."""

_SPARSE = 0.05  # below this share of wired pairs, gathering neighbours beats dense blocks on a CPU


def linked(units: Units, *links: str, dtype=jnp.float32) -> BlockCouplings:
    """Zero couplings between all pairs of the named links, e.g. `linked(units, "visible-hidden")`.

    Raises InputError for a link that is not one of `LINKS` or that joins a role without units.
    """
    blocks = {}
    for link in links:
        require(link in LINKS, f"unknown link {link!r}: choose among {', '.join(LINKS)}")
        shape = tuple(getattr(units, role) for role in ends(link))
        require(min(shape) > 0, f"link {link!r} joins a role without units ({units}): drop it or add units")
        blocks[link] = jnp.zeros(shape, dtype)
    require(bool(blocks), f"no link given: choose among {', '.join(LINKS)}")
    return BlockCouplings(units, blocks)


def published(units: Units, dtype=jnp.float32) -> BlockCouplings:
    """The wiring of the paper: visible–hidden and hidden–hidden, all pairs; none visible–visible.

    Output units, if any, are joined to the hidden ones. Source: Whitelam, PRL 136, 037101 (2026).
    """
    links = ["visible-hidden", "hidden-hidden"] + (["hidden-output"] if units.output else [])
    return linked(units, *links, dtype=dtype)


def all_to_all(units: Units, dtype=jnp.float32) -> BlockCouplings:
    """Every pair of units coupled."""
    links = [link for link in LINKS if min(getattr(units, role) for role in ends(link)) > 0]
    return linked(units, *links, dtype=dtype)


def planes(units: Units, height: int, width: int, dtype=jnp.float32) -> EdgeCouplings:
    """Nearest neighbours on stacked height x width planes: four in the plane, one in each adjacent plane.

    Units fill the planes in order (visible first), the last plane possibly in part.
    Raises InputError unless the visible units fill whole planes.
    """
    size = height * width
    require(
        size > 0 and units.visible % size == 0,
        f"planes of {height} x {width} do not hold {units.visible} visible units: "
        "give a height and width whose product divides them",
    )
    unit = np.arange(units.total)
    row, column = unit % size // width, unit % width
    right = unit[(column + 1 < width) & (unit + 1 < units.total)]
    down = unit[(row + 1 < height) & (unit + width < units.total)]
    up = unit[unit + size < units.total]
    steps = ((right, 1), (down, width), (up, size))
    pairs = np.concatenate([np.stack([start, start + step], 1) for start, step in steps])
    return EdgeCouplings.from_pairs(units, pairs, dtype)


def from_mask(units: Units, mask: np.ndarray, dtype=jnp.float32) -> Couplings:
    """Zero couplings on the pairs where the symmetric (N, N) `mask` is true; the diagonal is ignored.

    Held as edges when less than 5 % of the pairs are wired, as masked blocks otherwise.
    Raises InputError for a mask of another shape, an asymmetric one, or an empty one.
    """
    mask = checked_matrix(np.asarray(mask) != 0, units, "mask", zero_diagonal=False)
    mask = mask & ~np.eye(units.total, dtype=bool)
    require(bool(mask.any()), "mask couples no pair of units: set at least one off-diagonal entry")
    pairs = np.argwhere(np.triu(mask))
    if len(pairs) < _SPARSE * units.total * (units.total - 1) / 2:
        return EdgeCouplings.from_pairs(units, pairs, dtype)
    blocks, masks = {}, {}
    for link in LINKS:
        a, b = (units.part(role) for role in ends(link))
        wired = mask[a, b]
        if wired.any():
            blocks[link] = jnp.zeros(wired.shape, dtype)
            full = wired | np.eye(len(wired), dtype=bool) if a == b else wired
            if not full.all():
                masks[link] = jnp.asarray(wired)
    return BlockCouplings(units, blocks, masks)


def checked_matrix(
    matrix: np.ndarray, units: Units, name: str = "coupling matrix", zero_diagonal: bool = True
) -> np.ndarray:
    """`matrix` if it is a finite, symmetric (N, N) array (with a zero diagonal); InputError if not."""
    matrix = np.asarray(matrix)
    total = units.total
    if matrix.shape != (total, total):
        raise InputError(
            f"{name} has shape {matrix.shape} but the computer has {total} units: "
            f"give shape ({total}, {total})"
        )
    require(bool(np.isfinite(matrix).all()), f"{name} holds NaN or infinite values: replace them by numbers")
    unequal = np.argwhere(matrix != matrix.T)
    if len(unequal):
        i, j = unequal[0]
        raise InputError(
            f"{name} is not symmetric: entry ({i}, {j}) is {matrix[i, j]} and ({j}, {i}) is {matrix[j, i]}; "
            "symmetrise it, e.g. (J + J.T) / 2"
        )
    if zero_diagonal and np.diagonal(matrix).any():
        i = int(np.flatnonzero(np.diagonal(matrix))[0])
        raise InputError(f"{name} couples unit {i} to itself ({matrix[i, i]}): set the diagonal to 0, use J2")
    return matrix
