"""Exact training in factored form: J = B M B^T on few modes, chosen from the statistics.

With E = F F^T, C = E + D and U = V F^T + a diagonal, the normal equations
(`training.exact.normal_equations`) read

    J C + C J + b mbar^T + mbar b^T + U + U^T = 0 where coupled,    b_i = -t_i (ubar_i + (J mbar)_i) / T.

Were D, and the stiffness, the same for all units of a role, blocks of J between whole roles would lie in the
span of the columns of F and V. They nearly are, so the problem is solved in the span of F, V, D F and D V of
each role apart, where it has at most some hundred dimensions: with B orthonormal and J = B M B^T,

    M C' + C' M - (K M m m^T + m m^T M K) / T = -(R + R^T),   C' = B^T C B,   m = B^T mbar,   K = B^T t B,
    R = B^T U B - B^T t ubar m^T / T,

on the blocks of M that belong to a link. Then the modes that carry most force are kept in each role, and the
problem is solved again on them. No array is larger than N times the number of columns.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

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
"""Leading columns of F, and of V, whose span is searched: it has four times as many dimensions."""
_SMALL = 1e-7
"""Directions of the span smaller than this, relative to the largest, are left out."""


class _Operator(LinearOperator):
    """A linear function of vectors."""

    def __init__(self, size: int, function: Callable[[np.ndarray], np.ndarray]):
        super().__init__(np.dtype(float), (size, size))
        self._function = function

    def _matvec(self, x: np.ndarray) -> np.ndarray:
        return self._function(x)


class Span(NamedTuple):
    """The equations in the span of orthonormal bases B_a (n_a, s_a), one for each part of the units.

    second C', cross B^T U B, trained K, (s, s); mean m, drive B^T t ubar, (s,); duration T. linked: which
    parts are coupled.
    """

    bases: list[Float[np.ndarray, "_ _"]]
    second: Float[np.ndarray, "s s"]
    cross: Float[np.ndarray, "s s"]
    mean: Float[np.ndarray, " s"]
    drive: Float[np.ndarray, " s"]
    trained: Float[np.ndarray, "s s"]
    duration: float
    linked: Bool[np.ndarray, "parts parts"]

    @property
    def of_part(self) -> list[slice]:
        """Where the dimensions of each part stand."""
        bounds = np.cumsum([0, *(basis.shape[1] for basis in self.bases)])
        return [slice(low, high) for low, high in pairwise(bounds)]

    def within(self, chosen: list[Float[np.ndarray, "_ _"]]) -> Span:
        """The same in fewer dimensions: B_a chosen_a for each part, with orthonormal columns."""
        turn = block_diag(*chosen)
        second, cross, trained = (turn.T @ one @ turn for one in (self.second, self.cross, self.trained))
        bases = [basis @ part for basis, part in zip(self.bases, chosen, strict=True)]
        return self._replace(
            bases=bases,
            second=second,
            cross=cross,
            trained=trained,
            mean=turn.T @ self.mean,
            drive=turn.T @ self.drive,
        )

    def leading(self, M: Float[np.ndarray, "s s"], modes: int) -> list[Float[np.ndarray, "_ _"]]:
        """The directions of each part that carry most of the force of J = B M B^T, `modes` of them."""
        size, turn = np.linalg.eigh(self.second)
        force = M @ (turn * np.sqrt(np.maximum(size, 0)))
        return [np.linalg.svd(force[part], full_matrices=False)[0][:, :modes] for part in self.of_part]

    def solve(self, tolerance: float) -> tuple[Float[np.ndarray, "s s"], float, int]:
        """M, the size of the gradient there relative to that at M = 0, and the iterations it took."""
        s, m, T = len(self.mean), self.mean, self.duration
        part = np.repeat(np.arange(len(self.bases)), [basis.shape[1] for basis in self.bases])
        coupled = self.linked[part[:, None], part]
        half = self.cross - np.outer(self.drive, m) / T
        offset = np.where(coupled, half + half.T, 0)
        # Biases that are trained in one part of the units alone are trained by their share elsewhere.
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

        steps = 0

        def count(_: np.ndarray) -> None:
            nonlocal steps
            steps += 1

        found, _ = cg(
            _Operator(s * s, linear),
            -offset.reshape(-1),
            M=_Operator(s * s, inverse),
            rtol=tolerance / 2,
            atol=0.0,
            maxiter=1000,
            callback=count,
        )
        residual = float(np.linalg.norm(linear(found) + offset.reshape(-1)) / np.linalg.norm(offset))
        M = found.reshape(s, s)
        return (M + M.T) / 2, residual, steps


def solve_low_rank(
    computer: Computer, known: Statistics, trained: np.ndarray, ridge: float, tolerance: float, scale
) -> ExactResult:
    """The optimum on r modes and the biases where `trained`, for `ModeCouplings` or `LowRankCouplings`.

    Through modes all pairs are coupled, and J_ii acts as stiffness. Low-rank couplings join their links; the
    problem is solved with a diagonal and J_ii, of order r / N, is then left out. scale: sqrt(mobility /
    largest), (N,), if units differ in it. Statistics may be factored or dense.
    Images span few directions: modes beyond them are idle (through modes), or left out (low rank).
    Cost: decompositions of (N, 256) numbers, then matrices of some hundred squared. Memory: 1,000 N float64.
    """
    begun = time.perf_counter()
    held = computer.couplings
    assert isinstance(held, ModeCouplings | LowRankCouplings)
    equations = NormalEquations.of(known, trained, ridge, scale)
    units, roles = computer.units, []
    if isinstance(held, ModeCouplings):
        modes, parts, linked = held.basis.shape[1], [slice(0, units.total)], np.ones((1, 1), bool)
    else:
        modes = max(held.ranks.values())
        roles = [role for role in ROLES if any(role in ends(link) for link in held.left)]
        parts = [units.slice(role) for role in roles]
        linked = np.zeros((len(roles),) * 2, bool)
        for link in held.left:
            a, b = (roles.index(role) for role in ends(link))
            linked[a, b] = linked[b, a] = True
    span = _span(equations, known, parts, linked)
    whole, _, first = span.solve(tolerance)
    chosen = span.leading(whole, modes)
    few = span.within(chosen)
    mixing, residual, second = few.solve(tolerance)
    turn = block_diag(*chosen)
    missed = whole - turn @ mixing @ turn.T
    force = [float(np.sum((one @ span.second) * one)) for one in (missed, whole)]
    bases = few.bases
    if scale is not None:
        bases = [basis / scale[part, None] for basis, part in zip(bases, parts, strict=True)]
    couplings: Couplings
    if isinstance(held, ModeCouplings):
        idle = (0, modes - len(mixing))
        couplings = ModeCouplings(
            units, jnp.asarray(np.pad(bases[0], ((0, 0), idle))), jnp.asarray(np.pad(mixing, (idle, idle)))
        )
    else:
        left, right = {}, {}
        for link in held.left:
            a, b = (roles.index(role) for role in ends(link))
            block = mixing[few.of_part[a], few.of_part[b]]
            if a == b:
                size, turned = np.linalg.eigh(block)
                right[link] = jnp.asarray(bases[a] @ turned)
                left[link] = right[link] * size
            else:
                left[link], right[link] = jnp.asarray(bases[a] @ block), jnp.asarray(bases[b])
        couplings = LowRankCouplings(units, left, right)
    means = known.units
    bias = -trained * (means.drive + np.asarray(couplings.apply(jnp.asarray(means.mean))))
    dtype = computer.bias.dtype

    def cast(leaf):
        return jnp.asarray(np.asarray(leaf), dtype)

    values = jax.tree.map(cast, couplings)
    found = eqx.tree_at(
        lambda c: (c.couplings, c.bias), computer, (values, cast(bias / known.process.duration))
    )
    error = float(np.sqrt(max(force[0], 0) / force[1]))
    return ExactResult(found, residual, first + second, time.perf_counter() - begun, error)


def _span(
    equations: NormalEquations, known: Statistics, parts: list[slice], linked: Bool[np.ndarray, "parts parts"]
) -> Span:
    diagonal, mean, drive, trained = (
        np.asarray(one) for one in (equations.diagonal, equations.mean, equations.drive, equations.trained)
    )
    F, V = _columns(equations)
    bases = []
    for part in parts:
        level = (diagonal[part] / diagonal[part].mean())[:, None]
        columns = [F[part], V[part], level * F[part], level * V[part]]
        # Scaled alike by Frobenius norms; a part without any field has no columns to speak of.
        columns = [one / max(float(np.linalg.norm(one)), 1e-300) for one in columns]
        basis, triangle = np.linalg.qr(np.concatenate(columns, 1))
        left, size, _ = np.linalg.svd(triangle)
        bases.append(basis @ left[:, size > _SMALL * size[0]])

    def seen(values: np.ndarray) -> np.ndarray:
        return np.concatenate([basis.T @ values[part] for basis, part in zip(bases, parts, strict=True)])

    def own(values: np.ndarray) -> np.ndarray:
        """B^T diag(values) B."""
        each = [basis.T @ (values[part, None] * basis) for basis, part in zip(bases, parts, strict=True)]
        return np.asarray(block_diag(*each))

    if isinstance(equations.pairs, Factored):
        F, V = (np.asarray(one) for one in equations.pairs)
        factor, response, itself = seen(F), seen(V), np.einsum("ic,ic->i", V, F)
        second, cross = factor @ factor.T, response @ factor.T
    else:
        E, U = (np.asarray(one) for one in equations.pairs)
        second, cross, itself = seen(seen(E).T), seen(seen(U.T).T), np.diagonal(U)
    # What a unit does with itself is no product of two means: its part is exchanged, in any coordinates.
    second, cross = second + own(diagonal), cross + own(known.units.stiffness - itself)
    duration = known.process.duration
    return Span(bases, second, cross, seen(mean), seen(trained * drive), own(trained), duration, linked)


def _columns(equations: NormalEquations) -> tuple[Float[np.ndarray, "N c"], Float[np.ndarray, "N c"]]:
    """The leading columns of F and what goes with them in V."""
    if isinstance(equations.pairs, Factored):
        F, V = (np.asarray(one) for one in equations.pairs)
        _, turn = np.linalg.eigh(F.T @ F)
        turn = turn[:, ::-1][:, :_COLUMNS]
        return F @ turn, V @ turn
    E, U = (np.asarray(one) for one in equations.pairs)
    square, modes = eigsh(E, min(_COLUMNS, len(E) - 1), v0=np.ones(len(E)))
    real = square > _SMALL**1.5 * square.max()  # the rest is rounding
    root = np.sqrt(square[real])
    return modes[:, real] * root, U @ modes[:, real] / root
