"""Exact training in factored form: J = B M B^T on few modes, chosen from the statistics.

With E = F F^T, C = E + D and U = V F^T + a diagonal, the normal equations
(`training.exact.normal_equations`) read

    J C + C J + b mbar^T + mbar b^T + U + U^T = 0 where coupled,    b_i = -t_i (ubar_i + (J mbar)_i) / T.

If D and the stiffness were the same for all units of a role, the blocks of J between roles would lie in the
span of the columns of F and V. They nearly are, so the problem is solved in the span of F, V, D F and D V of
each role, with at most some hundred dimensions: with B orthonormal and J = B M B^T,

    M C' + C' M - (K M m m^T + m m^T M K) / T = -(R + R^T),   C' = B^T C B,   m = B^T mbar,   K = B^T t B,
    R = B^T U B - B^T t ubar m^T / T,

on the blocks of M that belong to a link. Then it is solved again on the modes of each role that carry most
force. No array is larger than N times the number of columns.
"""

from __future__ import annotations

import time
from itertools import count, pairwise
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import block_diag
from scipy.sparse.linalg import LinearOperator, cg, eigsh

from thermogen.computer import Computer
from thermogen.couplings import Couplings, LowRankCouplings, ModeCouplings
from thermogen.couplings.base import ROLES
from thermogen.couplings.blocks import ends
from thermogen.training.exact.normal_equations import NormalEquations
from thermogen.training.exact.statistics import Factored, Statistics
from thermogen.training.result import ExactResult

_COLUMNS = 64
"""Leading columns of F, and of V, in the span, which has four times as many dimensions."""
_SMALL = 1e-7
"""Directions of the span below this share of the largest are left out."""


class Span(NamedTuple):
    """The equations in the span of orthonormal bases B_a (n_a, s_a), one for each role a.

    second C', cross B^T U B, trained K, (s, s); mean m, drive B^T t ubar, (s,); duration T. linked: which
    roles are coupled.
    """

    bases: list[Float[np.ndarray, "_ _"]]
    second: Float[np.ndarray, "s s"]
    cross: Float[np.ndarray, "s s"]
    mean: Float[np.ndarray, " s"]
    drive: Float[np.ndarray, " s"]
    trained: Float[np.ndarray, "s s"]
    duration: float
    linked: Bool[np.ndarray, "roles roles"]

    @property
    def slices(self) -> list[slice]:
        """The dimensions of each role."""
        bounds = np.cumsum([0, *(basis.shape[1] for basis in self.bases)])
        return [slice(low, high) for low, high in pairwise(bounds)]

    def within(self, chosen: list[Float[np.ndarray, "_ _"]]) -> Span:
        """The same in fewer dimensions: B_a chosen_a for each role, with orthonormal columns."""
        turn = block_diag(*chosen)
        second, cross, trained = (turn.T @ A @ turn for A in (self.second, self.cross, self.trained))
        bases = [basis @ modes for basis, modes in zip(self.bases, chosen, strict=True)]
        mean, drive = turn.T @ self.mean, turn.T @ self.drive
        return Span(bases, second, cross, mean, drive, trained, self.duration, self.linked)

    def leading(self, M: Float[np.ndarray, "s s"], modes: int) -> list[Float[np.ndarray, "_ _"]]:
        """The `modes` directions of each role that carry most of the force of J = B M B^T."""
        size, turn = np.linalg.eigh(self.second)
        force = M @ (turn * np.sqrt(np.maximum(size, 0)))
        return [np.linalg.svd(force[role], full_matrices=False)[0][:, :modes] for role in self.slices]

    def solve(self, tolerance: float) -> tuple[Float[np.ndarray, "s s"], float, int]:
        """M, the size of the gradient there relative to that at M = 0, and the iterations it took."""
        s, m, T = len(self.mean), self.mean, self.duration
        role = np.repeat(np.arange(len(self.bases)), [basis.shape[1] for basis in self.bases])
        coupled = self.linked[role[:, None], role]
        half = self.cross - np.outer(self.drive, m) / T
        offset = np.where(coupled, half + half.T, 0)
        # Preconditioner only: approximate the mask of trained biases by its mean, so that it commutes with C.
        share = float(np.trace(self.trained)) / s
        size, turn = np.linalg.eigh(self.second - share * np.outer(m, m) / T)
        size = np.maximum(size, 1e-12 * size[-1])
        sums = size[:, None] + size

        def linear(flat: np.ndarray) -> np.ndarray:
            M = np.where(coupled, flat.reshape(s, s), 0)
            half = M @ self.second - np.outer(self.trained @ (M @ m), m) / T
            return np.where(coupled, half + half.T, 0).reshape(-1)

        def inverse(flat: np.ndarray) -> np.ndarray:
            turned = turn.T @ np.where(coupled, flat.reshape(s, s), 0) @ turn / sums
            return np.where(coupled, turn @ turned @ turn.T, 0).reshape(-1)

        iterations = count()
        operator: Any = LinearOperator  # its stub lacks matvec
        shape, offset = (s * s, s * s), offset.reshape(-1)
        flat, _ = cg(
            operator(shape, matvec=linear, dtype=float),
            -offset,
            M=operator(shape, matvec=inverse, dtype=float),
            rtol=tolerance / 2,
            atol=0.0,
            maxiter=1000,
            callback=lambda _: next(iterations),
        )
        residual = float(np.linalg.norm(linear(flat) + offset) / np.linalg.norm(offset))
        M = flat.reshape(s, s)
        return (M + M.T) / 2, residual, next(iterations)


def solve_low_rank(
    computer: Computer, statistics: Statistics, trained: np.ndarray, ridge: float, tolerance: float, scale
) -> ExactResult:
    """The optimum on r modes and the biases where `trained`, for `ModeCouplings` or `LowRankCouplings`.

    Modes couple all pairs, and J_ii acts as stiffness. Low-rank couplings couple their links; the problem is
    solved with a diagonal, and then J_ii, of order r / N, is left out. scale: sqrt(mobility /
    largest), (N,), if units differ in it. Statistics may be factored or dense.
    Images span few directions: modes beyond them have no couplings, or are left out (low rank).
    Cost: decompositions of (N, 256) numbers, then matrices of some hundred squared. Memory: 1,000 N float64.
    """
    begun = time.perf_counter()
    old, units = computer.couplings, computer.units
    assert isinstance(old, ModeCouplings | LowRankCouplings)
    equations = NormalEquations.of(statistics, trained, ridge, scale)
    links: dict[str, tuple[int, int]] = {}
    if isinstance(old, ModeCouplings):
        modes, slices, linked = old.basis.shape[1], [slice(0, units.total)], np.ones((1, 1), bool)
    else:
        modes = max(old.ranks.values())
        roles = [role for role in ROLES if any(role in ends(link) for link in old.left)]
        slices, linked = [units.slice(role) for role in roles], np.zeros((len(roles),) * 2, bool)
        for link in old.left:
            a, b = links[link] = roles.index(ends(link)[0]), roles.index(ends(link)[1])
            linked[a, b] = linked[b, a] = True
    span = _span(equations, statistics, slices, linked)
    full, _, first = span.solve(tolerance)
    chosen = span.leading(full, modes)
    reduced = span.within(chosen)
    mixing, residual, second = reduced.solve(tolerance)
    turn = block_diag(*chosen)
    missed = full - turn @ mixing @ turn.T
    force = [float(np.sum((M @ span.second) * M)) for M in (missed, full)]
    bases = reduced.bases
    if scale is not None:
        bases = [basis / scale[role, None] for basis, role in zip(bases, slices, strict=True)]
    couplings: Couplings
    if isinstance(old, ModeCouplings):
        idle = (0, modes - len(mixing))
        couplings = ModeCouplings(
            units, jnp.asarray(np.pad(bases[0], ((0, 0), idle))), jnp.asarray(np.pad(mixing, (idle, idle)))
        )
    else:
        left, right = {}, {}
        for link, (a, b) in links.items():
            block = mixing[reduced.slices[a], reduced.slices[b]]
            if a == b:
                size, turned = np.linalg.eigh(block)
                right[link] = jnp.asarray(bases[a] @ turned)
                left[link] = right[link] * size
            else:
                left[link], right[link] = jnp.asarray(bases[a] @ block), jnp.asarray(bases[b])
        couplings = LowRankCouplings(units, left, right)
    means = statistics.units
    bias = -trained * (means.drive + np.asarray(couplings.apply(jnp.asarray(means.mean))))
    dtype = computer.bias.dtype
    values = jax.tree.map(
        lambda leaf: jnp.asarray(np.asarray(leaf), dtype), (couplings, bias / statistics.process.duration)
    )
    optimum = eqx.tree_at(lambda c: (c.couplings, c.bias), computer, values)
    error = float(np.sqrt(max(force[0], 0) / force[1]))
    return ExactResult(optimum, residual, first + second, time.perf_counter() - begun, error)


def _span(
    equations: NormalEquations,
    statistics: Statistics,
    slices: list[slice],
    linked: Bool[np.ndarray, "roles roles"],
) -> Span:
    diagonal, mean, drive, trained = (
        np.asarray(row) for row in (equations.diagonal, equations.mean, equations.drive, equations.trained)
    )
    F, V = _columns(equations)
    bases = []
    for role in slices:
        level = (diagonal[role] / diagonal[role].mean())[:, None]
        columns = [F[role], V[role], level * F[role], level * V[role]]
        # Equal Frobenius norms; the columns of a role without any field are zero.
        columns = [block / max(float(np.linalg.norm(block)), 1e-300) for block in columns]
        basis, triangle = np.linalg.qr(np.concatenate(columns, 1))
        left, size, _ = np.linalg.svd(triangle)
        bases.append(basis @ left[:, size > _SMALL * size[0]])

    def projected(values: np.ndarray) -> np.ndarray:
        return np.concatenate([basis.T @ values[role] for basis, role in zip(bases, slices, strict=True)])

    def projected_diagonal(values: np.ndarray) -> np.ndarray:
        """B^T diag(values) B."""
        blocks = [basis.T @ (values[role, None] * basis) for basis, role in zip(bases, slices, strict=True)]
        return np.asarray(block_diag(*blocks))

    if isinstance(equations.pairs, Factored):
        F, V = (np.asarray(columns) for columns in equations.pairs)
        factor, response, itself = projected(F), projected(V), np.einsum("ic,ic->i", V, F)
        second, cross = factor @ factor.T, response @ factor.T
    else:
        E, U = (np.asarray(matrix) for matrix in equations.pairs)
        second, cross = projected(projected(E).T), projected(projected(U.T).T)
        itself = np.diagonal(U)
    # U_jj is not the product of two means: replace it.
    second = second + projected_diagonal(diagonal)
    cross = cross + projected_diagonal(statistics.units.stiffness - itself)
    mean, drive, trained = projected(mean), projected(trained * drive), projected_diagonal(trained)
    return Span(bases, second, cross, mean, drive, trained, statistics.process.duration, linked)


def _columns(equations: NormalEquations) -> tuple[Float[np.ndarray, "N c"], Float[np.ndarray, "N c"]]:
    """The leading columns of F and the columns of V that belong to them."""
    if isinstance(equations.pairs, Factored):
        F, V = (np.asarray(columns) for columns in equations.pairs)
        _, turn = np.linalg.eigh(F.T @ F)
        turn = turn[:, ::-1][:, :_COLUMNS]
        return F @ turn, V @ turn
    E, U = (np.asarray(matrix) for matrix in equations.pairs)
    square, modes = eigsh(E, min(_COLUMNS, len(E) - 1), v0=np.ones(len(E)))
    real = square > _SMALL**1.5 * square.max()  # the rest is rounding
    root = np.sqrt(square[real])
    return modes[:, real] * root, U @ modes[:, real] / root
