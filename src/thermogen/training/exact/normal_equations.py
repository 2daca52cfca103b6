"""The linear system of exact training for any kind of couplings, and its preconditioner.

The loss is quadratic in (J, b). Its gradient for couplings, after the trained biases took their best values
b_i = -(ubar_i + (J mbar)_i) / T, is

    G_ij = sum_l (J_il C^i_lj + J_jl C^j_li) + U^i_ij + U^j_ji,
    C^i = C - t_i mbar mbar^T / T,   U^i = U - t_i ubar mbar^T / T,   t_i = 1 where the bias is trained.

Where units differ in mobility, row i of the loss and so of (J C^i + U^i) carries the weight mu_i. In the
coordinates y_i = x_i / sqrt(w_i), w = mu / max mu, all units have one mobility and the equations are those
above, with

    C_ij / sqrt(w_i w_j),   U_ij sqrt(w_i / w_j),   mbar_i / sqrt(w_i),   ubar_i sqrt(w_i)

for C, U, mbar, ubar and J_ij sqrt(w_i w_j), b_i sqrt(w_i) for the unknowns. The solver works in these.

Couplings never become a matrix here: the factored form needs only products J x and sums of outer products on
the coupled pairs (`Couplings.apply`, `PairCouplings.outer`).
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.sparse.linalg import eigsh

from thermogen.computer import Computer
from thermogen.couplings import BlockCouplings, PairCouplings
from thermogen.couplings.base import ROLES
from thermogen.couplings.blocks import ends
from thermogen.training.exact.statistics import Dense, Factored, Statistics

_MODES = 24
"""Leading directions of C that the preconditioner inverts."""
_MOSTLY = 0.5
"""Links wired less than this are preconditioned by their diagonal alone."""


def on_values(function: Callable, *couplings: PairCouplings) -> PairCouplings:
    """A function of the values of couplings of one topology, entry by entry."""
    values = [eqx.filter(J, eqx.is_inexact_array) for J in couplings]
    return eqx.combine(jax.tree.map(function, *values), couplings[0])


def mobility_scale(computer: Computer) -> Float[np.ndarray, " N"] | None:
    """sqrt(mu_i / max mu), (N,), the scale of the coordinates y; None if all mobilities are equal."""
    mobility = np.asarray(computer.mobility, float).reshape(-1)
    return None if (mobility == mobility[0]).all() else np.sqrt(mobility / mobility.max())


class NormalEquations(eqx.Module):
    """The statistics as the solver needs them, in float64, in coordinates of one mobility.

    pairs: E and U. diagonal D; mean mbar; drive ubar; trained t, (N,). duration T.
    """

    pairs: Factored | Dense
    diagonal: Float[Array, " N"]
    mean: Float[Array, " N"]
    drive: Float[Array, " N"]
    trained: Float[Array, " N"]
    duration: Float[Array, ""]

    @classmethod
    def of(
        cls, statistics: Statistics, trained: np.ndarray, ridge: float, scale: np.ndarray | None = None
    ) -> NormalEquations:
        """From statistics; `ridge` is additional variance of every unit. `scale`: sqrt(w)."""
        duration, pairs, units = statistics.process.duration, statistics.pairs, statistics.units
        if isinstance(pairs, Factored):
            pairs = pairs.lean()
        diagonal, mean, drive = units.diagonal + ridge * duration, units.mean, units.drive
        if scale is not None:
            pairs = pairs.scaled(scale)
            diagonal, mean, drive = diagonal / scale**2, mean / scale, drive * scale
        values = (pairs, diagonal, mean, drive, np.asarray(trained, float), float(duration))
        return cls(*jax.tree.map(jnp.asarray, values))

    def offset(self, like: PairCouplings) -> PairCouplings:
        """U^i_ij + U^j_ji on the coupled pairs: the gradient at J = 0."""
        lift = -self.trained * self.drive / self.duration
        if isinstance(self.pairs, Factored):
            return self._shared(like, jnp.asarray(self.pairs.response).T, lift)
        half = jnp.asarray(self.pairs.cross) + jnp.outer(lift, self.mean)
        return like.with_matrix(half + half.T)

    def gradient(self, J: PairCouplings, spread: PairCouplings) -> PairCouplings:
        """The part of the gradient that is linear in J; `spread` is D_i + D_j on the coupled pairs."""
        lift = -self.trained * J.apply(self.mean[None])[0] / self.duration
        if isinstance(self.pairs, Factored):
            shared = self._shared(J, J.apply(jnp.asarray(self.pairs.factor).T), lift)
        else:
            half = J.apply(jnp.asarray(self.pairs.second)).T + jnp.outer(lift, self.mean)
            shared = J.with_matrix(half + half.T)
        return on_values(lambda a, w, j: a + w * j, shared, spread, J)

    def spread(self, like: PairCouplings) -> PairCouplings:
        """D_i + D_j on the coupled pairs."""
        return like.outer(self.diagonal[None], jnp.ones_like(self.diagonal)[None])

    def biases(self, J: PairCouplings) -> Float[Array, " N"]:
        """The best biases for given couplings."""
        return -self.trained * (self.drive + J.apply(self.mean[None])[0]) / self.duration

    def _shared(self, like: PairCouplings, rows: Array, lift: Array) -> PairCouplings:
        assert isinstance(self.pairs, Factored)
        columns = jnp.asarray(self.pairs.factor).T
        return like.outer(jnp.concatenate([rows, lift[None]]), jnp.concatenate([columns, self.mean[None]]))


class Inner(eqx.Module):
    """Woodbury's inner system: leading modes W^T (k, N), split by role as W_a = basis_a triangle_a.

    shrinks S_a; outside (1 + S_a H_a)^-1 S_a with H_a = sum_b W_b^T W_b / d_ab; inverse of the system in the
    span of W; couple 1 / d_ab on mostly wired links; roles: first unit and end of each role.
    """

    modes: Float[Array, "k N"]
    bases: tuple[Float[Array, "_ _"], ...]
    triangles: tuple[Float[Array, "_ k"], ...]
    shrinks: tuple[Float[Array, "k k"], ...]
    outside: tuple[Float[Array, "k k"], ...]
    inverse: Float[Array, "m m"]
    couple: Float[Array, "roles roles"]
    roles: tuple[tuple[int, int], ...] = eqx.field(static=True)

    def solve(self, right: Float[Array, "k N"]) -> Float[Array, "k N"]:
        """From (R / d) W, transposed, to Y S, transposed."""
        rows = [right[:, a:b].T for a, b in self.roles]
        inside = [(basis.T @ row).reshape(-1) for basis, row in zip(self.bases, rows, strict=True)]
        bounds = np.cumsum([triangle.size for triangle in self.triangles])[:-1]
        Z = jnp.split(self.inverse @ jnp.concatenate(inside), bounds)
        spans = [
            shrink @ z.reshape(triangle.shape).T @ triangle
            for shrink, z, triangle in zip(self.shrinks, Z, self.triangles, strict=True)
        ]
        solution = []
        for a, row in enumerate(rows):
            span = sum(self.couple[a, b] * values for b, values in enumerate(spans))
            W = self.modes[:, slice(*self.roles[a])].T
            solution.append((row - W @ span) @ self.outside[a])
        return jnp.concatenate(solution).T


class Preconditioner(eqx.Module):
    """The inverse for C ~ d_role + W W^T with all pairs of the mostly wired links coupled.

    With Y_a = sum_b X_ab W_b for role a (b over its links), S_a = 1 - t_a c c^T / T and d_ab = d_a + d_b,

        X_ab = (R_ab - Y_a S_a W_b^T - W_a S_b Y_b^T) / d_ab

    and Y solves a linear system of few unknowns in the span of W, and one per row outside. Pairs of other
    links are divided by D_i + D_j.
    """

    inverse_spread: PairCouplings
    joined: PairCouplings | None
    inner: Inner | None

    def apply(self, R: PairCouplings) -> PairCouplings:
        """The approximate solution X of gradient(X) = R on the coupled pairs."""
        scaled = on_values(jnp.multiply, R, self.inverse_spread)
        if self.inner is None or self.joined is None:
            return scaled
        Y = self.inner.solve(on_values(jnp.multiply, scaled, self.joined).apply(self.inner.modes))
        correction = R.outer(Y, self.inner.modes)
        return on_values(
            lambda x, c, w, j: x - c * w * j, scaled, correction, self.inverse_spread, self.joined
        )


def preconditioner(equations: NormalEquations, like: PairCouplings) -> Preconditioner:
    """The preconditioner for couplings like these. Cost: the leading modes of E, and a small inverse."""
    inverse = on_values(lambda w: jnp.where(w > 0, 1 / jnp.where(w > 0, w, 1), 0), equations.spread(like))
    names = [role for role in ROLES if getattr(like.units, role)]
    roles = tuple((units.start, units.stop) for units in map(like.units.slice, names))
    level = [float(equations.diagonal[a:b].mean()) for a, b in roles]
    couple = np.zeros((len(names), len(names)))
    blocks, masks = (like.blocks, like.masks) if isinstance(like, BlockCouplings) else ({}, {})
    share = {link: float(masks[link].mean()) if link in masks else 1.0 for link in blocks}
    for link in blocks:
        if share[link] > _MOSTLY:
            a, b = (names.index(role) for role in ends(link))
            couple[a, b] = couple[b, a] = 1 / (level[a] + level[b])
    if not couple.any():
        return Preconditioner(inverse, None, None)
    ones = {link: jnp.full(block.shape, float(share[link] > _MOSTLY)) for link, block in blocks.items()}
    joined = BlockCouplings(like.units, ones, masks)
    sizes = jnp.asarray([b - a for a, b in roles])
    levels = like.outer(jnp.repeat(jnp.asarray(level), sizes)[None], jnp.ones((1, like.units.total)))
    inverse = on_values(
        lambda w, j, d: jnp.where(j * d > 0, 1 / jnp.where(d > 0, d, 1), w), inverse, joined, levels
    )
    return Preconditioner(inverse, joined, _inner(equations, roles, couple))


def _inner(equations: NormalEquations, roles: tuple[tuple[int, int], ...], couple: np.ndarray) -> Inner:
    """Set up and invert the small systems of `Preconditioner`."""
    modes, duration = _leading_modes(equations), float(equations.duration)
    k, numbers = len(modes), range(len(roles))
    weight = np.linalg.lstsq(modes.T, np.asarray(equations.mean), rcond=None)[0]
    bases, triangles = zip(*(np.linalg.qr(modes[:, a:b].T) for a, b in roles), strict=True)
    trained = [float(equations.trained[a:b].mean()) for a, b in roles]
    shrinks = [np.eye(k) - t * np.outer(weight, weight) / max(duration, weight @ weight) for t in trained]
    within = [
        np.eye(k) + shrinks[a] @ sum(couple[a, b] * triangles[b].T @ triangles[b] for b in numbers)
        for a in numbers
    ]

    def block(a: int, b: int) -> np.ndarray:
        """The matrix of Z_b in the equation of Z_a, both flattened."""
        added = couple[a, b] * np.einsum("pm,nq->pqnm", triangles[a] @ shrinks[b], triangles[b])
        if a == b:
            added = added + np.einsum("pn,mq->pqnm", np.eye(len(triangles[a])), within[a])
        return added.reshape(triangles[a].size, triangles[b].size)

    inverse = np.linalg.inv(np.block([[block(a, b) for b in numbers] for a in numbers]))
    outside = [np.linalg.inv(inner) @ shrink for inner, shrink in zip(within, shrinks, strict=True)]
    values = (modes, bases, triangles, tuple(shrinks), tuple(outside), inverse, couple)
    return Inner(*jax.tree.map(jnp.asarray, values), roles=roles)


def _leading_modes(equations: NormalEquations) -> np.ndarray:
    """W^T (k, N): the leading eigenvectors of E, each times the root of its eigenvalue."""
    pairs = equations.pairs
    if isinstance(pairs, Factored):
        _, size, modes = np.linalg.svd(np.asarray(pairs.factor).T, full_matrices=False)
        size, modes = size[:_MODES], modes[:_MODES]
    else:
        second = np.asarray(pairs.second)
        square, vectors = eigsh(second, min(_MODES, len(second) - 1), v0=np.ones(len(second)))
        size, modes = np.sqrt(np.maximum(square, 0)), vectors.T
    # The cost of the small systems grows as the fourth power of the count: leave out the smallest modes, in
    # steps of 4, so that segments share one compiled program.
    count = min(-(-int((size > 1e-6 * size.max()).sum()) // 4) * 4, len(size))
    return modes[:count] * size[:count, None]
