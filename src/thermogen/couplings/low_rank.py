"""Couplings as products of thin factors: N x r couplers instead of N^2 / 2."""

from __future__ import annotations

from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from thermogen.couplings.base import Couplings, Prepared, Units, narrowed, product
from thermogen.couplings.blocks import ends
from thermogen.couplings.topology import LINKS, link_sizes, published_links
from thermogen.errors import InputError, require

_FUSED = 16  # up to this many modes, multiply-adds beat a matrix product (two cores, benchmarks)


class LowRankCouplings(Couplings):
    """J as two thin factors per link: `left[link]` (n_a, r) and `right[link]` (n_b, r), in E0.

        J_ab = left right^T                              for a link between two roles, e.g. 'visible-hidden',
        J_aa = left right^T - diag(left right^T)         for a link within one role, e.g. 'hidden-hidden'.

    Within a role left = right * s, column by column, with s of either sign: left right^T is symmetric and
    need not be positive. Each link has its own rank r, possibly 0. A column is a mode: a summing node that
    senses the units on one side and drives those on the other, and the reverse.

    `compress` makes the factors from full couplings, exact training solves for them directly
    (`training.exact.low_rank`), and `checked_factors` checks given ones. Pairs have no values of their own,
    so rules that follow trajectories cannot train them.

    Cost of `apply`: two multiply–adds per entry of the factors and direction, instead of one per pair.
    """

    left: dict[str, Array]
    right: dict[str, Array]
    units: Units = eqx.field(static=True)

    def __init__(self, units: Units, left: Mapping[str, Array], right: Mapping[str, Array]):
        """Take the factors by link, without checks."""
        self.units, self.left, self.right = units, dict(left), dict(right)

    @property
    def ranks(self) -> dict[str, int]:
        """Number of modes of each link."""
        return {link: factor.shape[1] for link, factor in self.left.items()}

    def padded(self, ranks: Mapping[str, int]) -> LowRankCouplings:
        """The same J with zero modes added, so that its links have these ranks (at least their own)."""

        def wider(factors: dict[str, Array]) -> dict[str, Array]:
            idle = {link: ranks[link] - factor.shape[1] for link, factor in factors.items()}
            return {link: jnp.pad(factor, ((0, 0), (0, idle[link]))) for link, factor in factors.items()}

        return type(self)(self.units, wider(self.left), wider(self.right))

    def apply(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """The product J x, i.e. left (right^T x) per link, less the diagonal within roles."""
        return self.prepared().apply(x)

    def prepared(self) -> PreparedLowRank:
        """All sensing factors in one (N, R) matrix, all driving ones in one (R, N): two products per step.

        R counts the modes of links between roles twice, once per direction.
        """
        total = self.units.total
        dtype = next((factor.dtype for factor in self.left.values()), jnp.float32)
        sense, drive = [jnp.zeros((total, 0), dtype)], [jnp.zeros((total, 0), dtype)]
        diagonal = jnp.zeros(total, dtype)

        def placed(place: slice, factor: Array) -> Array:
            return jnp.zeros((total, factor.shape[1]), dtype).at[place].set(factor)

        for link, left in self.left.items():
            right = self.right[link]
            a, b = (self.units.slice(role) for role in ends(link))
            sense.append(placed(b, right))
            drive.append(placed(a, left))
            if a == b:
                diagonal = diagonal.at[a].set(jnp.sum(left * right, 1))
            else:
                sense.append(placed(a, left))
                drive.append(placed(b, right))
        return PreparedLowRank(
            sense=jnp.concatenate(sense, 1),
            drive=jnp.concatenate(drive, 1).T,
            diagonal=diagonal,
            units=self.units,
        )

    def matrix(self) -> Float[Array, "N N"]:
        """The dense matrix J: exactly symmetric, with a zero diagonal. Cost: N^2 numbers."""
        matrix = jnp.zeros((self.units.total, self.units.total), self.prepared().diagonal.dtype)
        for link, left in self.left.items():
            a, b = (self.units.slice(role) for role in ends(link))
            block = left @ self.right[link].T
            if a == b:
                block = (block + block.T) / 2
                block = block - jnp.diag(jnp.diagonal(block))
            matrix = matrix.at[a, b].set(block).at[b, a].set(block.T)
        return matrix

    def entries(self) -> int:
        """Entries of the factors as they are laid out, and the diagonal."""
        ready = self.prepared()
        return ready.sense.size + ready.drive.size + ready.diagonal.size

    def count(self) -> int:
        """Number of physical couplers: r (n_a + n_b) per link between two roles, r n_a within one.

        Each mode is a summing node joined once to every unit of the link. The subtracted diagonal within a
        role corrects the stiffness J2 of single units and needs no coupler.
        """
        return sum(
            rank * sum(getattr(self.units, role) for role in set(ends(link)))
            for link, rank in self.ranks.items()
        )

    def count_full(self) -> int:
        """Number of pairs that the links join: the couplers of the full matrix."""
        count = 0
        for first, second in map(ends, self.left):
            a, b = getattr(self.units, first), getattr(self.units, second)
            count += a * (a - 1) // 2 if first == second else a * b
        return count


class PreparedLowRank(Prepared):
    """J x = (x sense) drive - diagonal * x, for the inner loop of a simulation (read-only).

    `sense` (N, R), `drive` (R, N), `diagonal` (N,).
    """

    sense: Float[Array, "N R"]
    drive: Float[Array, "R N"]
    diagonal: Float[Array, " N"]
    units: Units = eqx.field(static=True)

    def apply(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """The product J x: a thin matrix product that senses, and one that drives.

        Few modes drive in plain multiply-adds, which the compiler fuses into the time step.
        """
        sensed = product(x, self.sense)
        modes = self.drive.shape[0]
        if not modes:
            return jnp.zeros_like(x)
        if modes > _FUSED:
            return product(sensed, self.drive) - self.diagonal * x
        driven = [sensed[..., mode, None] * self.drive[mode].astype(x.dtype) for mode in range(modes)]
        return sum(driven[1:], driven[0]) - self.diagonal * x


@narrowed.register
def _(couplings: PreparedLowRank) -> PreparedLowRank:
    # The diagonal is no factor of a matrix product and keeps its type.
    sense, drive = (factor.astype(jnp.bfloat16) for factor in (couplings.sense, couplings.drive))
    return PreparedLowRank(sense=sense, drive=drive, diagonal=couplings.diagonal, units=couplings.units)


def checked_factors(
    units: Units,
    left: Mapping[str, Array | np.ndarray],
    right: Mapping[str, Array | np.ndarray],
    name: str = "low-rank factors",
) -> LowRankCouplings:
    """Low-rank couplings from factors by link, (n_a, r) and (n_b, r).

    Raises InputError unless factors come in pairs of matching shape for known links and are finite, and left
    is right times one number per column within a role, to 1e-5. Cost: one pass over the factors.
    """
    require(bool(left), f"{name} hold no link: give left and right factors of at least one link")
    odd = sorted(set(left) ^ set(right))
    require(not odd, f"{name} of {', '.join(odd)} come without their other side: give left and right")
    for link in left:
        require(link in LINKS, f"{name} name an unknown link {link!r}: choose among {', '.join(LINKS)}")
        sizes = [getattr(units, role) for role in ends(link)]
        shapes = [np.shape(left[link]), np.shape(right[link])]
        if [len(s) for s in shapes] != [2, 2] or shapes != [(size, shapes[0][1]) for size in sizes]:
            raise InputError(
                f"{name} of {link} have shapes {shapes[0]} and {shapes[1]}: "
                f"give ({sizes[0]}, r) and ({sizes[1]}, r)"
            )
        a, b = (np.asarray(side[link], float) for side in (left, right))
        require(
            bool(np.isfinite(a).all() and np.isfinite(b).all()),
            f"{name} of {link} hold NaN or infinite values: replace them by numbers",
        )
        if len(set(ends(link))) == 1:
            scale = (a * b).sum(0) / np.maximum((b**2).sum(0), 1e-300)
            require(
                bool(np.abs(a - b * scale).max(initial=0) <= 1e-5 * np.abs(a).max(initial=0)),
                f"{name} of {link} are not symmetric: give left = right times one number per column",
            )
    arrays = ({link: jnp.asarray(side[link]) for link in left} for side in (left, right))
    return LowRankCouplings(units, *arrays)


def low_rank(units: Units, rank: int, *links: str, dtype=jnp.float32) -> LowRankCouplings:
    """Zero factors of `rank` modes for each link (default: the links of `published_couplings`).

    `training.solve` finds the factors, N r couplers instead of N^2 / 2. Raises InputError for an unknown
    link, one that joins a role without units, and a rank below 1 or above the number of units of a role.
    """
    left, right = {}, {}
    for link in links or published_links(units):
        sizes = link_sizes(units, link)
        require(1 <= rank <= min(sizes), f"rank = {rank}: give 1 to {min(sizes)}, the units of link {link!r}")
        left[link], right[link] = (jnp.zeros((size, rank), dtype) for size in sizes)
    return LowRankCouplings(units, left, right)
