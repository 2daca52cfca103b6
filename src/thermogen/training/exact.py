"""Exact training: the couplings and biases that minimise the loss averaged over all thermal noise.

In the noising process the units are independent given the image, and the loss is quadratic in (J, b). With
m, s, g the moments of one unit (`thermogen.moments`) and u = 2 g - a f, brackets the mean over images,

    C_lj = int <m_l m_j> dt + delta_lj int <s_j - m_j^2> dt,    U_ij = int <u_i m_j> dt,
    mbar = int <m> dt,   ubar = int <u> dt,   T = t_f,

the expected gradients are, up to the factor mu / 2kT,

    G_ij = (J C)_ij + (J C)_ji + b_i mbar_j + b_j mbar_i + U_ij + U_ji       for every coupled pair,
    G_i  = sum_j J_ij mbar_j + b_i T + ubar_i                               for every trained bias,

and training is to make them zero: a convex problem, solved by conjugate gradients.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from scipy.interpolate import CubicSpline

from thermogen.computer import Computer
from thermogen.errors import InputError, require
from thermogen.moments import unit_moments
from thermogen.noising import Schedule
from thermogen.training.fit import VALIDATION_PATHS, TrainingResult
from thermogen.training.validation import path_loss


class Statistics(NamedTuple):
    """What the images say: C = M M^T + diag(D), U = V M^T in factored form, and the integrals of m and u.

    factor M and response V: (N, rank); diagonal D, mean mbar, drive ubar: (N,). Statistics of sets of
    images computed apart add up, see `merged`.
    """

    images: int
    factor: Float[np.ndarray, "N rank"]
    response: Float[np.ndarray, "N rank"]
    diagonal: Float[np.ndarray, " N"]
    mean: Float[np.ndarray, " N"]
    drive: Float[np.ndarray, " N"]

    def merged(self, other: Statistics) -> Statistics:
        """Statistics of both sets of images together."""
        total = self.images + other.images
        parts = ((self, self.images / total), (other, other.images / total))
        factor, response = (
            np.concatenate([getattr(part, name) * np.sqrt(share) for part, share in parts], 1)
            for name in ("factor", "response")
        )
        diagonal, mean, drive = (
            getattr(self, name) * parts[0][1] + getattr(other, name) * parts[1][1]
            for name in ("diagonal", "mean", "drive")
        )
        return Statistics(total, factor, response, diagonal, mean, drive)


class ExactResult(NamedTuple):
    """The optimum, the size of the gradient there relative to that at the start, and what it took."""

    computer: Computer
    residual: float
    iterations: int
    seconds: float


def statistics(
    computer: Computer, fields: Float[Array, "P N"], schedule: Schedule, tolerance: float = 1e-9
) -> Statistics:
    """Exact statistics of the noising of images with `fields` (P, N), averaged over all thermal noise.

    The time integral of a product of two moments is a kernel of the two fields, of rank about 14 at a
    relative `tolerance` of 1e-9: each image contributes that many columns to the factors.
    Units may differ in J2 and J4. Cost: one Fokker–Planck solution per kind of unit, then P x N x rank.
    """
    force = np.asarray(fields, float)
    J2, J4 = np.asarray(computer.J2, float), np.asarray(computer.J4, float)
    kinds, kind_of = np.unique(np.stack([J2, J4], 1), axis=0, return_inverse=True)
    kind_of = kind_of.reshape(-1)
    largest = float(np.abs(force).max())
    solved = [
        unit_moments(
            float(a), float(b), float(computer.kT), float(computer.mobility), schedule, _rounded(largest)
        )
        for a, b in kinds
    ]
    weights = solved[0].weights
    field = np.concatenate([-solved[0].fields[:0:-1], solved[0].fields])

    def mirrored(values: np.ndarray, parity: int) -> np.ndarray:
        return np.concatenate([parity * values[:0:-1], values])

    mean = [mirrored(m.mean, -1) for m in solved]
    drive = [2 * mirrored(m.slope, -1) - m.ramp * field[:, None] for m in solved]
    left, size, _ = np.linalg.svd(np.concatenate(mean + drive) * np.sqrt(weights), full_matrices=False)
    rank = int((size > tolerance * size[0]).sum())
    features = (left[:, :rank] * size[:rank]).reshape(2, len(kinds), len(field), rank)
    count, total = force.shape
    factor, response = np.empty((2, total, count, rank))
    integrals = np.empty((3, total))
    for kind, moments in enumerate(solved):
        m, u = features[:, kind]
        variance = mirrored(moments.square, 1) @ weights - (m * m).sum(1)
        table = np.concatenate([m, u, variance[:, None], (mean[kind] @ weights)[:, None]], 1)
        table = np.concatenate([table, (drive[kind] @ weights)[:, None]], 1)
        units = np.flatnonzero(kind_of == kind)
        values = CubicSpline(field, table)(force[:, units])
        factor[units] = values[..., :rank].transpose(1, 0, 2)
        response[units] = values[..., rank : 2 * rank].transpose(1, 0, 2)
        integrals[:, units] = values[..., 2 * rank :].mean(0).T
    scale = np.sqrt(count)
    return Statistics(
        count, factor.reshape(total, -1) / scale, response.reshape(total, -1) / scale, *integrals
    )


def solve(
    computer: Computer,
    known: Statistics,
    schedule: Schedule,
    *,
    visible_biases: bool = False,
    tolerance: float = 1e-8,
    iterations: int = 2000,
) -> ExactResult:
    """The optimum on the couplings of `computer`'s topology and its hidden (and visible) biases.

    Conjugate gradients in float64, preconditioned by the inverse for all pairs with a uniform diagonal,
    until the gradient is `tolerance` times its size at the start (J = 0, b = 0).
    Raises InputError if it does not get there within `iterations`.
    Cost: per iteration N^2 x rank; 1,296 units and three images take some tens of iterations.
    """
    begun = time.perf_counter()
    require(0 < tolerance < 1, f"tolerance = {tolerance}: give a number between 0 and 1")
    units = computer.units
    roles = ("visible", "hidden", "output") if visible_biases else ("hidden", "output")
    with jax.enable_x64(True):
        basis, size, _ = np.linalg.svd(known.factor, full_matrices=False)
        J, b, residual, done = _conjugate_gradients(
            [jnp.asarray(value) for value in known[1:]],
            jnp.asarray(np.asarray(computer.couplings.mask()), float),
            jnp.asarray(np.asarray(units.mask(*roles)), float),
            jnp.asarray(basis),
            jnp.asarray(size**2),
            schedule.t_f,
            tolerance,
            iterations,
        )
        J, b, residual, done = np.asarray(J), np.asarray(b), float(residual), int(done)
    if not residual <= tolerance:
        raise InputError(
            f"exact training stopped at a residual of {residual:.2g} after {done} iterations, above the "
            f"tolerance {tolerance:g}: give a larger tolerance or more iterations"
        )
    dtype = computer.bias.dtype
    trained = eqx.tree_at(
        lambda c: (c.couplings, c.bias),
        computer,
        (computer.couplings.with_matrix(jnp.asarray(J, dtype)), jnp.asarray(b, dtype)),
    )
    return ExactResult(trained, residual, done, time.perf_counter() - begun)


@jax.jit
def _conjugate_gradients(known, wired, trained, basis, weight, duration, tolerance, iterations):
    factor, response, diagonal, mean, drive = known
    level = jnp.mean(diagonal)

    def gradient(J, b):
        half = (J @ factor) @ factor.T + J * diagonal + jnp.outer(b, mean)
        return wired * (half + half.T), trained * (J @ mean + b * duration)

    def precondition(r):
        # Inverse of X -> X C + C X for C = level + basis weight basis^T, then restricted to the wired pairs.
        J, b = r
        project = basis.T @ J
        both = project @ basis
        one = weight / (2 * level * (2 * level + weight))
        pair = 1 / (2 * level + weight[:, None] + weight) - 1 / (2 * level) + one[:, None] + one
        side = basis @ (one[:, None] * project)
        inverse = J / (2 * level) - side - side.T + basis @ (pair * both) @ basis.T
        return wired * inverse, b / duration

    def dot(x, y):
        return jnp.sum(x[0] * y[0]) / 2 + jnp.sum(x[1] * y[1])

    def combine(x, scale, y):
        return jax.tree.map(lambda a, b: a + scale * b, x, y)

    half = response @ factor.T
    r = (-wired * (half + half.T), -trained * drive)
    start = dot(r, r)
    z = precondition(r)
    state = (jax.tree.map(jnp.zeros_like, r), r, z, dot(r, z), 0)

    def unfinished(state):
        _, r, _, _, done = state
        return (dot(r, r) > tolerance**2 * start) & (done < iterations)

    def iterate(state):
        x, r, p, rz, done = state
        q = gradient(*p)
        step = rz / dot(p, q)
        x, r = combine(x, step, p), combine(r, -step, q)
        z = precondition(r)
        after = dot(r, z)
        return x, r, combine(z, after / rz, p), after, done + 1

    (J, b), *_, done = jax.lax.while_loop(unfinished, iterate, state)
    # The residual is taken anew from the solution, not from the recursion.
    g = gradient(J, b)
    rest = (wired * (half + half.T) + g[0], trained * drive + g[1])
    return J, b, jnp.sqrt(dot(rest, rest) / start), done


def train_exact(
    key: Key[Array, ""],
    computer: Computer,
    fields: Float[Array, "P N"],
    schedule: Schedule,
    *,
    visible_biases: bool = False,
    tolerance: float = 1e-6,
) -> TrainingResult:
    """Train on the exact average over all thermal noise: `statistics`, then `solve`.

    Returns what `train` returns; the loss on the fixed paths of `key` is given before (0) and after (1).
    """
    begun = time.perf_counter()
    result = solve(
        computer,
        statistics(computer, fields, schedule),
        schedule,
        visible_biases=visible_biases,
        tolerance=tolerance,
    )
    _, validation_key = jax.random.split(key)
    paths = jnp.arange(VALIDATION_PATHS)
    before, after = (
        np.asarray(path_loss(validation_key, each, fields, schedule, paths), float)
        for each in (computer, result.computer)
    )
    error = (after - before).std(ddof=1) / np.sqrt(len(paths))
    validation = np.array([[0, before.mean(), 0.0], [1, after.mean(), error]])
    return TrainingResult(result.computer, np.zeros(0), validation, time.perf_counter() - begun)


def _rounded(largest: float) -> float:
    """A little more than the largest field, rounded so that similar image sets share one solution."""
    return float(np.ceil(largest * 1.02 * 4) / 4) if largest > 0 else 0.0
