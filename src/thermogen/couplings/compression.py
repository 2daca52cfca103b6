"""Compression of full couplings to low-rank ones: the fewest couplers for a stated error of the force."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from thermogen.couplings.base import Couplings, Units, check_square
from thermogen.couplings.blocks import BlockCouplings, ends
from thermogen.couplings.low_rank import LowRankCouplings
from thermogen.errors import InputError, require

_SWEEPS = 60  # alternations of one fit; most settle in fewer than ten
_SETTLED = 1e-2  # relative change of the squared error at which a fit has converged
_ROUNDING = 1e-9  # relative force error not worth improving on: factors are stored in float32


class Compression(NamedTuple):
    """Low-rank couplings, the rank of each link, the relative force error, and couplers before and after."""

    couplings: LowRankCouplings
    ranks: dict[str, int]
    force_error: float
    couplers_full: int
    couplers: int


def compress(couplings: Couplings, second_moment: np.ndarray | None, tolerance: float) -> Compression:
    """Low-rank couplings J~ whose force J~ x differs from J x by at most `tolerance`, relative, rms.

        force error = sqrt(tr(D C D) / tr(J C J)),   D = J - J~,   C = <x x^T>

    couplings: full blocks, without masks. second_moment: C (N, N) over the relevant states, e.g. those of
    noising; None means C = 1. tolerance: between 0 and 1; float32 factors reach about 1e-6.

    A block A between roles a and b contributes tr(A^T C_aa A) + tr(A C_bb A^T) to tr(J C J). In the
    eigenbases of C_aa and C_bb, with eigenvalues p_i and q_j, that is sum_ij (p_i + q_j) A_ij^2. These
    weights do not factor, so no single decomposition gives the optimum. With one factor fixed the other
    follows in closed form. A fit alternates between the two, from the decompositions of A and of
    C_aa^(1/4) A C_bb^(1/4), and keeps the best: it is never worse than the truncated decomposition of A.
    Within a role the diagonal is free: every alternation sets it to that of the fit, and a fit with equal
    weights is tried as well. The fits omit terms that mix two links; the force error includes them.

    Ranks start from equal shares of the tolerance and are then lowered and exchanged while that saves
    couplers: with these fits, no rank can be lowered by one. `force_error` is that of the stored factors.

    Raises InputError for other kinds of couplings, masked blocks, couplings that are all zero, a second
    moment that is mis-shaped, not finite, not symmetric or not positive, a tolerance outside (0, 1), or one
    that the precision of the factors cannot reach. Couplings that are not close to low rank give more
    couplers than the full ones: compare `couplers` with `couplers_full`.
    Cost: two decompositions per link, then some tens of fits of about ten alternations of n_a n_b r between
    roles and n_a^3 within one. 784 + 512 units take some seconds.
    """
    full = _checked_blocks(couplings)
    require(0 < tolerance < 1, f"tolerance = {tolerance}: give a number between 0 and 1")
    units = full.units
    blocks = {link: np.asarray(block, float) for link, block in full.blocks.items()}
    moment = _checked_moment(second_moment, units)
    scale = _squared_force(units, blocks, moment)
    require(scale > 0, "the couplings exert no force on any state: train them before compressing")
    roles = {role for link in blocks for role in ends(link)}
    floor = 1e-10 * float(np.trace(moment)) / units.total
    sides = {role: _Side.of(moment[units.slice(role), units.slice(role)], floor) for role in roles}
    fits = {}
    for link, block in blocks.items():
        first, second = ends(link)
        fits[link] = _Fits(block, sides[first], sides[second], scale, full.blocks[link].dtype)
    per_mode = {link: sum(getattr(units, role) for role in set(ends(link))) for link in blocks}

    def error(ranks: dict[str, int]) -> float:
        rest = {link: fit.difference(ranks[link]) for link, fit in fits.items()}
        return float(np.sqrt(_squared_force(units, rest, moment) / scale))

    def lowered(ranks: dict[str, int]) -> dict[str, int]:
        for link in sorted(ranks, key=lambda link: -per_mode[link]):
            lower = {**ranks, link: ranks[link] - 1}
            if ranks[link] and error(lower) <= tolerance:
                return lowered(lower)
        return ranks

    def cost(ranks: dict[str, int]) -> int:
        return sum(per_mode[link] * rank for link, rank in ranks.items())

    ranks = {link: fit.smallest(tolerance / np.sqrt(len(fits))) for link, fit in fits.items()}
    while (reached := error(ranks)) > tolerance:
        raisable = [link for link in ranks if ranks[link] < fits[link].full]
        require(
            bool(raisable),
            f"tolerance = {tolerance:g} is finer than factors of this precision hold: give {2 * reached:.1g}",
        )
        ranks[max(raisable, key=lambda link: fits[link].error(ranks[link]))] += 1
    best, cheapest = None, lowered(ranks)
    while best is None or cost(cheapest) < cost(best):
        best = cheapest
        raised = ({**best, link: rank + 1} for link, rank in best.items() if rank < fits[link].full)
        cheapest = min(map(lowered, raised), key=cost, default=best)
    factors = {link: [*map(jnp.asarray, fits[link].factors(rank))] for link, rank in best.items()}
    left, right = ({link: pair[side] for link, pair in factors.items()} for side in (0, 1))
    compressed = LowRankCouplings(units, left, right)
    return Compression(compressed, best, error(best), compressed.count_full(), compressed.count())


class _Side(NamedTuple):
    """The second moment of one role in its eigenbasis: C = basis diag(size) basis^T."""

    moment: np.ndarray
    basis: np.ndarray
    size: np.ndarray

    @classmethod
    def of(cls, moment: np.ndarray, floor: float) -> _Side:
        size, basis = np.linalg.eigh(moment)
        # Directions without states get a small weight, because the fits divide by it.
        size = np.maximum(size, floor)
        return cls((basis * size) @ basis.T, basis, size)

    def power(self, exponent: float) -> np.ndarray:
        return (self.basis * self.size**exponent) @ self.basis.T


def _orthonormal(factor: np.ndarray, side: _Side) -> tuple[np.ndarray, np.ndarray]:
    """Another basis F of the columns' span, with F^T F = 1 and F^T C F = diag(weight)."""
    factor = np.linalg.qr(factor)[0]
    weight, turn = np.linalg.eigh(factor.T @ side.moment @ factor)
    return factor @ turn, np.maximum(weight, side.size[0])  # lower only by rounding


def _other_factor(block: np.ndarray, a: _Side, b: _Side, right: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Left factor of least force error for right columns r_k: (C_aa + w_k) l_k = C_aa A r_k + A C_bb r_k."""
    force = a.moment @ (block @ right) + block @ (b.moment @ right)
    return a.basis @ ((a.basis.T @ force) / (a.size[:, None] + weight))


class _Fits:
    """Fits of one block at any rank, cached. Errors are relative to the whole force."""

    def __init__(self, block: np.ndarray, a: _Side, b: _Side, scale: float, dtype) -> None:
        self.block, self.a, self.b, self.scale, self.dtype = block, a, b, scale, dtype
        self.within = a is b
        self.full = min(block.shape)
        self._made: dict[int, tuple[np.ndarray, np.ndarray, float]] = {}
        left, size, right = np.linalg.svd(block, full_matrices=False)
        plain = _Side.of(np.eye(len(block)), 0.0)
        self.starts = [(plain if self.within else a, right.T)]
        if np.ptp([a.size[[0, -1]], b.size[[0, -1]]]) > 1e-9 * a.size[-1]:
            # Modes by their force, which adds up for the plain decomposition. Within a role the plain start
            # stays, because only alternations with equal weights never get worse there.
            force = size**2 * sum(
                np.einsum("ik,ik->k", side.moment @ modes, modes) for side, modes in ((a, left), (b, right.T))
            )
            _, _, geometric = np.linalg.svd(a.power(0.25) @ block @ b.power(0.25), full_matrices=False)
            weighted = [(a, right[np.argsort(-force)].T), (a, b.power(-0.25) @ geometric.T)]
            self.starts = weighted + (self.starts if self.within else [])

    def factors(self, rank: int) -> tuple[np.ndarray, np.ndarray]:
        """Left (n_a, rank) and right (n_b, rank), as they are stored."""
        return self._fit(rank)[:2]

    def error(self, rank: int) -> float:
        """Force error of the stored factors, of this link alone."""
        return self._fit(rank)[2]

    def difference(self, rank: int) -> np.ndarray:
        """The block less its fit; zero diagonal within a role."""
        left, right = (factor.astype(float) for factor in self.factors(rank))
        return self._less(left @ right.T)

    def smallest(self, budget: float) -> int:
        """The smallest rank whose own error is within `budget`, or the full rank."""
        low, high = -1, 0
        while high < self.full and self.error(high) > budget:
            low, high = high, min(self.full, max(1, 2 * high))
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.error(middle) <= budget else (middle, high)
        return high

    def _less(self, fit: np.ndarray) -> np.ndarray:
        rest = self.block - fit
        if self.within:
            np.fill_diagonal(rest, 0)
        return rest

    def _error(self, rest: np.ndarray) -> float:
        square = np.sum((self.a.moment @ rest) * rest)
        if not self.within:
            square += np.sum((rest @ self.b.moment) * rest)
        return float(np.sqrt(max(square, 0) / self.scale))

    def _fit(self, rank: int) -> tuple[np.ndarray, np.ndarray, float]:
        if rank not in self._made:
            fits = (fit for side, start in self.starts for fit in self._alternate(start[:, :rank], side))
            left, right, _ = min(fits, key=lambda fit: fit[2])
            stored = left.astype(self.dtype), right.astype(self.dtype)
            rest = self._less(stored[0].astype(float) @ stored[1].astype(float).T)
            self._made[rank] = (*stored, self._error(rest))
        return self._made[rank]

    def _alternate(self, right: np.ndarray, side: _Side) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
        """Left, right and error after each alternation, until they converge or, within a role, diverge."""
        target, before, least = self.block, np.inf, np.inf
        for _ in range(_SWEEPS):
            left, right = self._symmetric(target, right, side) if self.within else self._between(right)
            fit = left @ right.T
            error = self._error(self._less(fit))
            yield left, right, error
            converged = abs(before**2 - error**2) < _SETTLED * error**2
            if error < _ROUNDING or converged or error > 10 * least:
                return
            before, least = error, min(error, least)
            if self.within:
                target = self._less(fit) + fit  # the block with the diagonal of its fit

    def _between(self, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        right, weight = _orthonormal(right, self.b)
        left, weight = _orthonormal(_other_factor(self.block, self.a, self.b, right, weight), self.a)
        right = _other_factor(self.block.T, self.b, self.a, left, weight)
        right, size, turn = np.linalg.svd(right, full_matrices=False)
        return left @ (turn.T * size), right

    @staticmethod
    def _symmetric(target: np.ndarray, modes: np.ndarray, side: _Side) -> tuple[np.ndarray, np.ndarray]:
        modes, weight = _orthonormal(modes, side)
        modes, weight = _orthonormal(_other_factor(target, side, side, modes, weight), side)
        # On these modes the best symmetric core S solves a Lyapunov equation, diagonal in their basis.
        force = (side.moment @ modes).T @ (target @ modes)
        core = (force + force.T) / (weight[:, None] + weight)
        size, turn = np.linalg.eigh(core)
        modes = modes @ turn
        return modes * size, modes


def _checked_blocks(couplings: Couplings) -> BlockCouplings:
    if not isinstance(couplings, BlockCouplings):
        raise InputError(
            f"couplings of type {type(couplings).__name__} cannot be compressed: give full blocks, "
            "e.g. published_couplings"
        )
    require(
        not couplings.masks,
        f"the link {', '.join(sorted(couplings.masks))} is only partly wired and cannot be compressed: "
        "give blocks that couple all pairs",
    )
    for link, block in couplings.blocks.items():
        require(
            bool(jnp.isfinite(block).all()), f"couplings {link} hold NaN or infinite values: train them anew"
        )
    return couplings


def _checked_moment(moment: np.ndarray | None, units: Units) -> np.ndarray:
    total = units.total
    if moment is None:
        return np.eye(total)
    moment = np.asarray(moment, float)
    check_square("second moment", moment.shape, units)
    require(
        bool(np.isfinite(moment).all()), "second moment holds NaN or infinite values: give finite numbers"
    )
    largest = np.abs(moment).max()
    require(
        bool(np.abs(moment - moment.T).max() <= 1e-9 * largest),
        "second moment is not symmetric: give the average of x x^T",
    )
    least = np.linalg.eigvalsh(moment)[0]
    require(
        bool(least >= -1e-9 * total * largest),
        f"second moment has the negative eigenvalue {least:.3g}: give the average of x x^T, in float64",
    )
    return moment


def _squared_force(units: Units, blocks: Mapping[str, np.ndarray], moment: np.ndarray) -> float:
    """tr(D C D), the mean of |D x|^2, for D given by its blocks."""
    matrix = np.zeros((units.total, units.total))
    for link, block in blocks.items():
        a, b = (units.slice(role) for role in ends(link))
        matrix[a, b], matrix[b, a] = block, block.T
    return float(max(0.0, np.sum((matrix @ moment) * matrix)))
