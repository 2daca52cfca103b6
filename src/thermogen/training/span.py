"""Exact training through a few modes, J = B M B^T, with the modes chosen from the statistics.

With E = F F^T, C = E + D and U = V F^T + a diagonal, the normal equations (`thermogen.training.normal`) read

    J C + C J + b mbar^T + mbar b^T + U + U^T = 0,      b_i = -t_i (ubar_i + (J mbar)_i) / T

if all pairs are coupled and the stiffness is trained. Were D, and the stiffness, the same for all units, J
would lie in the span of the columns of F and V but for its diagonal. They nearly are, so the problem is solved
in the span of F, V, D F and D V, where it has at most a few hundred dimensions: with B orthonormal and
J = B M B^T,

    M C' + C' M - (K M m m^T + m m^T M K) / T = -(R + R^T),   C' = B^T C B,   m = B^T mbar,   K = B^T t B,
    R = B^T U B - B^T t ubar m^T / T.

Of the solution the modes that carry most force are kept, and the problem is solved again on them. No array is
larger than N times the number of columns.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.sparse.linalg import LinearOperator, cg, eigsh

from thermogen.computer import Computer
from thermogen.couplings import ModeCouplings
from thermogen.errors import require
from thermogen.training.modes import lyapunov
from thermogen.training.normal import NormalEquations
from thermogen.training.statistics import Factored, Statistics

_COLUMNS = 64
"""Leading columns of F, and of V, whose span is searched: it has four times as many dimensions."""
_SMALL = 1e-7
"""Directions of the span smaller than this, relative to the largest, are left out."""


class Span(NamedTuple):
    """The equations in the span of orthonormal B (N, s): C', B^T U B, m, B^T t ubar, K and T."""

    basis: Float[np.ndarray, "N s"]
    second: Float[np.ndarray, "s s"]
    cross: Float[np.ndarray, "s s"]
    mean: Float[np.ndarray, " s"]
    drive: Float[np.ndarray, " s"]
    trained: Float[np.ndarray, "s s"]
    duration: float

    def within(self, part: Float[np.ndarray, "s r"]) -> Span:
        """The same in the span of B part, with part orthonormal."""
        second, cross, trained = (part.T @ one @ part for one in (self.second, self.cross, self.trained))
        return Span(
            self.basis @ part, second, cross, part.T @ self.mean, part.T @ self.drive, trained, self.duration
        )

    def solve(self, tolerance: float) -> tuple[Float[np.ndarray, "s s"], float, int]:
        """M, the size of the gradient there relative to that at M = 0, and the iterations it took."""
        s, m, T = len(self.mean), self.mean, self.duration
        offset = self.cross - np.outer(self.drive, m) / T
        offset = offset + offset.T
        begun = float(np.linalg.norm(offset))
        share = float(np.trace(self.trained)) / s
        near = self.second - share * np.outer(m, m) / T

        def linear(flat: np.ndarray) -> np.ndarray:
            M = flat.reshape(s, s)
            half = M @ self.second - np.outer(self.trained @ (M @ m), m) / T
            return (half + half.T).reshape(-1)

        def inverse(flat: np.ndarray) -> np.ndarray:
            return -lyapunov(near, flat.reshape(s, s) / 2).reshape(-1)

        steps = 0

        def count(_: np.ndarray) -> None:
            nonlocal steps
            steps += 1

        size = (s * s, s * s)
        found, _ = cg(
            LinearOperator(size, linear, dtype=float),
            -offset.reshape(-1),
            M=LinearOperator(size, inverse, dtype=float),
            rtol=tolerance / 2,
            atol=0.0,
            maxiter=500,
            callback=count,
        )
        residual = float(np.linalg.norm(linear(found) + offset.reshape(-1))) / begun
        return found.reshape(s, s), residual, steps


class SpanResult(NamedTuple):
    """The trained computer; the residual on its modes; iterations; seconds; the force that its modes miss.

    force_error: sqrt(tr(X C X) / tr(J C J)) for X the difference from the solution J in the whole span.
    """

    computer: Computer
    residual: float
    iterations: int
    seconds: float
    force_error: float


def solve_in_span(
    computer: Computer, known: Statistics, trained: np.ndarray, ridge: float, tolerance: float, scale
) -> SpanResult:
    """The optimum on r modes and the biases where `trained`, for a computer with `ModeCouplings`.

    scale: sqrt(mobility / largest), (N,), if units differ in it. Statistics may be factored or dense.
    Raises InputError for more modes than the statistics span.
    Cost: a decomposition of (N, 256) numbers, then matrices of 256 x 256. Memory: about 1,000 N float64.
    """
    begun = time.perf_counter()
    assert isinstance(computer.couplings, ModeCouplings)
    modes = computer.couplings.basis.shape[1]
    span = _span(known, trained, ridge, scale)
    require(
        modes <= span.basis.shape[1],
        f"modes = {modes}: these images span {span.basis.shape[1]}; give up to that many",
    )
    whole, _, first = span.solve(tolerance)
    size, turn = np.linalg.eigh((whole + whole.T) / 2)
    carried = size**2 * np.einsum("sk,st,tk->k", turn, span.second, turn)
    chosen = turn[:, np.argsort(-carried)[:modes]]
    part = span.within(chosen)
    mixing, residual, second = part.solve(tolerance)
    mixing = (mixing + mixing.T) / 2
    missed = whole - chosen @ mixing @ chosen.T
    force = [float(np.sum((one @ span.second) * one)) for one in (missed, whole)]
    equations = NormalEquations.of(known, trained, ridge, scale)
    mean, drive, duration = (np.asarray(one) for one in (equations.mean, equations.drive, equations.duration))
    bias = -trained * (drive + part.basis @ (mixing @ (part.basis.T @ mean))) / duration
    basis = part.basis
    if scale is not None:
        basis, bias = basis / scale[:, None], bias / scale
    dtype = computer.bias.dtype
    couplings = ModeCouplings(computer.units, jnp.asarray(basis, dtype), jnp.asarray(mixing, dtype))
    found = eqx.tree_at(lambda c: (c.couplings, c.bias), computer, (couplings, jnp.asarray(bias, dtype)))
    error = float(np.sqrt(max(force[0], 0) / force[1]))
    return SpanResult(found, residual, first + second, time.perf_counter() - begun, error)


def _span(known: Statistics, trained: np.ndarray, ridge: float, scale: np.ndarray | None) -> Span:
    equations = NormalEquations.of(known, trained, ridge, scale)
    diagonal, mean, drive = (np.asarray(one) for one in (equations.diagonal, equations.mean, equations.drive))
    F, V = _columns(equations)
    level = (diagonal / diagonal.mean())[:, None]
    parts = [F / np.linalg.norm(F), V / np.linalg.norm(V), level * F, level * V]
    basis, triangle = np.linalg.qr(np.concatenate([one / np.linalg.norm(one, 2) for one in parts], 1))
    left, size, _ = np.linalg.svd(triangle)
    basis = basis @ left[:, size > _SMALL * size[0]]
    if isinstance(equations.pairs, Factored):
        F, V = (np.asarray(one) for one in equations.pairs)
        seen = basis.T @ F
        second, cross = seen @ seen.T, (basis.T @ V) @ seen.T
        own = np.einsum("ic,ic->i", V, F)
    else:
        E, U = (np.asarray(one) for one in equations.pairs)
        second, cross = basis.T @ E @ basis, basis.T @ U @ basis
        own = np.diagonal(U)
    # What a unit does with itself is no product of two means: its part is exchanged, in any coordinates.
    second = second + basis.T @ (diagonal[:, None] * basis)
    cross = cross + basis.T @ ((known.units.stiffness - own)[:, None] * basis)
    weighted = basis.T @ (trained[:, None] * basis)
    return Span(
        basis, second, cross, basis.T @ mean, basis.T @ (trained * drive), weighted, known.process.duration
    )


def _columns(equations: NormalEquations) -> tuple[Float[np.ndarray, "N c"], Float[np.ndarray, "N c"]]:
    """The leading columns of F and what goes with them in V."""
    if isinstance(equations.pairs, Factored):
        F, V = (np.asarray(one) for one in equations.pairs)
        square, turn = np.linalg.eigh(F.T @ F)
        turn = turn[:, ::-1][:, :_COLUMNS]
        return F @ turn, V @ turn
    E, U = (np.asarray(one) for one in equations.pairs)
    square, modes = eigsh(E, min(_COLUMNS, len(E) - 1), v0=np.ones(len(E)))
    root = np.sqrt(np.maximum(square, _SMALL * square.max()))
    return modes * root, U @ modes / root
