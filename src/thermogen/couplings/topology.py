"""Topologies: the published wiring, other links, planes, scattered pairs, any mask."""

from __future__ import annotations

from itertools import combinations_with_replacement, product
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.sparse import issparse

from thermogen.couplings.base import MOST_DENSE_PAIRS, ROLES, Couplings, Units, check_dense, check_square
from thermogen.couplings.blocks import BlockCouplings, ends
from thermogen.couplings.edges import EdgeCouplings
from thermogen.errors import InputError, require

LINKS = tuple("-".join(pair) for pair in combinations_with_replacement(ROLES, 2))
"""Every possible link between roles, e.g. 'visible-hidden'."""

_SPARSE = 0.05  # below this share of wired pairs, gathering neighbours beats dense blocks on a CPU


def link_sizes(units: Units, link: str) -> tuple[int, int]:
    """Numbers of units at the two ends of a link; InputError for an unknown link or a role without units."""
    require(link in LINKS, f"unknown link {link!r}: choose among {', '.join(LINKS)}")
    first, second = (getattr(units, role) for role in ends(link))
    require(
        min(first, second) > 0, f"link {link!r} joins a role without units ({units}): drop it or add units"
    )
    return first, second


def published_links(units: Units) -> list[str]:
    """The links of the published wiring."""
    return ["visible-hidden", "hidden-hidden"] + (["hidden-output"] if units.output else [])


def from_links(units: Units, *links: str, dtype=jnp.float32) -> BlockCouplings:
    """Zero couplings between all pairs of the named links, e.g. `from_links(units, "visible-hidden")`.

    Raises InputError for a link that is not one of `LINKS` or that joins a role without units.
    """
    blocks = {}
    for link in links:
        shape = link_sizes(units, link)
        entries = sum(block.size for block in blocks.values()) + shape[0] * shape[1]
        require(
            entries <= MOST_DENSE_PAIRS,
            f"links {', '.join(links)} of {units.total:,} units are blocks of {entries:.1e} couplings, "
            f"{4e-9 * entries:.0f} GB or more: couple large computers by planes, scattered pairs or modes",
        )
        blocks[link] = jnp.zeros(shape, dtype)
    require(bool(blocks), f"no link given: choose among {', '.join(LINKS)}")
    return BlockCouplings(units, blocks)


def published_couplings(units: Units, dtype=jnp.float32) -> BlockCouplings:
    """The wiring of the paper: visible–hidden and hidden–hidden, all pairs; none visible–visible.

    Output units, if any, are coupled to the hidden ones. Source: Whitelam, PRL 136, 037101 (2026).
    """
    return from_links(units, *published_links(units), dtype=dtype)


def all_to_all(units: Units, dtype=jnp.float32) -> BlockCouplings:
    """Every pair of units coupled."""
    links = [link for link in LINKS if min(getattr(units, role) for role in ends(link)) > 0]
    return from_links(units, *links, dtype=dtype)


def planes(units: Units, height: int, width: int, radius: float = 1.0, dtype=jnp.float32) -> EdgeCouplings:
    """All pairs within a distance of `radius` on stacked height x width planes, a distance 1 apart.

        (row - row')^2 + (column - column')^2 + (plane - plane')^2 <= radius^2

    The default couples nearest neighbours: four in the plane, one in each adjacent plane. Units fill the
    planes in order (visible first), the last plane possibly in part.
    Raises InputError unless the visible units fill whole planes, and for a radius below 1.
    Cost: N times the number of neighbours, 6 for a radius of 1, 32 for 2, 122 for 3 within many planes.
    """
    size = height * width
    require(
        size > 0 and units.visible % size == 0,
        f"planes of {height} x {width} do not hold {units.visible} visible units: "
        "give a height and width whose product divides them",
    )
    require(bool(radius >= 1), f"radius = {radius:g}: give 1 (nearest neighbours) or more")
    reach, unit = int(radius), np.arange(units.total)
    row, column = unit % size // width, unit % width
    near = range(-reach, reach + 1)
    pairs = []
    for up, down, right in product(range(min(reach, (units.total - 1) // size) + 1), near, near):
        if (up, down, right) > (0, 0, 0) and up**2 + down**2 + right**2 <= radius**2:
            neighbour = unit + up * size + down * width + right
            inside = (row + down >= 0) & (row + down < height) & (neighbour < units.total)
            inside &= (column + right >= 0) & (column + right < width)
            pairs.append(np.stack([unit[inside], neighbour[inside]], 1))
    return EdgeCouplings.from_pairs(units, np.concatenate(pairs), dtype)


def scattered(units: Units, neighbours: int, seed: int = 0, dtype=jnp.float32) -> EdgeCouplings:
    """Every unit coupled to `neighbours` others on average: all pairs at as many random distances.

    The distances j - i are drawn from 1 to N - 1 without repetition, the same for all units. A product then
    needs only shifts of the state. Raises InputError unless 1 <= neighbours < N.
    """
    total = units.total
    require(1 <= neighbours < total, f"neighbours = {neighbours}: give 1 to {total - 1}, all other units")
    offsets = 1 + np.random.default_rng(seed).choice(total - 1, neighbours, replace=False)
    unit = np.arange(total)
    pairs = [np.stack([unit[:-offset], unit[offset:]], 1) for offset in np.sort(offsets)]
    return EdgeCouplings.from_pairs(units, np.concatenate(pairs), dtype)


def from_pairs(units: Units, pairs: Any, dtype=jnp.float32) -> EdgeCouplings:
    """Zero couplings on given pairs, without an N x N mask.

    pairs: (edges, 2) unit numbers, each pair once, in either order; or a scipy.sparse matrix or array (N, N)
    that is not zero where units are coupled, symmetric or with one triangle filled; its diagonal is ignored.
    Raises InputError for unknown units, pairs given twice or of a unit with itself, numbers that are not
    whole or finite, and a matrix of another shape or with both triangles filled but not alike.
    Cost: a sort of the pairs.
    """
    if issparse(pairs):
        pairs = _pairs_of(pairs, units)
    couplings = EdgeCouplings.from_pairs(units, pairs, dtype)
    require(couplings.count() > 0, "pairs couple no units: give at least one pair")
    return couplings


def _pairs_of(matrix: Any, units: Units) -> np.ndarray:
    total = units.total
    check_square("sparse matrix", matrix.shape, units)
    entries = matrix.tocoo()
    require(
        bool(np.isfinite(entries.data).all()),
        "sparse matrix holds NaN or infinite values: replace them by numbers",
    )
    wired = (entries.data != 0) & (entries.row != entries.col)
    row, column = entries.row[wired].astype(np.int64), entries.col[wired].astype(np.int64)
    above, below = (np.unique(a[a < b] * total + b[a < b]) for a, b in ((row, column), (column, row)))
    if len(above) and len(below) and not np.array_equal(above, below):
        i, j = divmod(int(np.setxor1d(above, below)[0]), total)
        raise InputError(
            f"sparse matrix couples units {i} and {j} on one side of the diagonal only: "
            "make it symmetric, or keep one triangle"
        )
    number = above if len(above) else below
    return np.stack(np.divmod(number, total), 1)


def from_mask(units: Units, mask: np.ndarray, dtype=jnp.float32) -> Couplings:
    """Zero couplings on the pairs where the symmetric (N, N) `mask` is true; the diagonal is ignored.

    The result is edges if less than 5 % of the pairs are wired, otherwise masked blocks.
    Raises InputError for a mask of another shape, an asymmetric one, or an empty one.
    """
    check_dense(units, "the N x N mask")
    mask = checked_matrix(np.asarray(mask) != 0, units, "mask", zero_diagonal=False)
    mask = mask & ~np.eye(units.total, dtype=bool)
    require(bool(mask.any()), "mask couples no pair of units: set at least one off-diagonal entry")
    pairs = np.argwhere(np.triu(mask))
    if len(pairs) < _SPARSE * units.total * (units.total - 1) / 2:
        return EdgeCouplings.from_pairs(units, pairs, dtype)
    blocks, masks = {}, {}
    for link in LINKS:
        a, b = (units.slice(role) for role in ends(link))
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
    check_square(name, matrix.shape, units)
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
