"""The optimum of exact training from its statistics: couplings and biases by conjugate gradients.

The linear system is that of `thermogen.training.exact.normal_equations`.
"""

from __future__ import annotations

import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thermogen.computer import Computer
from thermogen.couplings import LowRankCouplings, ModeCouplings, PairCouplings, as_pairs
from thermogen.errors import InputError, require
from thermogen.noising import Schedule
from thermogen.training.exact.low_rank import solve_low_rank
from thermogen.training.exact.normal_equations import (
    NormalEquations,
    Preconditioner,
    mobility_scale,
    on_values,
    preconditioner,
)
from thermogen.training.exact.statistics import Process, Statistics
from thermogen.training.result import ExactResult

TOLERANCE = 1e-6
"""Size of the gradient at the end, relative to that at the start (J = 0, b = 0).

Where units differ in mobility, it is the gradient in the coordinates of `training.exact.normal_equations`.
"""


def solve(
    computer: Computer,
    statistics: Statistics,
    *,
    visible_biases: bool = False,
    ridge: float = 0.0,
    tolerance: float = TOLERANCE,
    iterations: int = 2000,
) -> ExactResult:
    """The optimum on the couplings of `computer`'s topology and its hidden (and visible) biases.

        computer        its couplings are the topology, its units may differ in mobility
        statistics      of one segment
        visible_biases  train those too
        ridge           0 or more, in units of x^2: additional variance of every unit, keeps couplings small
                        that few images determine
        tolerance       size of the gradient at the end, relative to that at the start (J = 0, b = 0)
        iterations      at most

    Conjugate gradients in float64 on the couplings that exist.

    Couplings through r modes (`ModeCouplings`) and low-rank ones get their factors, see
    `thermogen.training.exact.low_rank`; through modes the stiffness of the units is part of J.

    Raises InputError for a negative ridge, for statistics of another process, for a topology without pairs,
    and if the tolerance is not reached within `iterations`.
    Cost: per iteration two products of the couplings with rank(C) vectors; tens of iterations. Couplings on
    edges take O(edges x rank) operations and 50 bytes an edge, N x rank numbers in all: nothing is N x N.
    """
    begun = time.perf_counter()
    require(0 < tolerance < 1, f"tolerance = {tolerance}: give a number between 0 and 1")
    _check_problem(computer, statistics, ridge)
    roles = ("visible", "hidden", "output") if visible_biases else ("hidden", "output")
    trained = np.asarray(computer.units.mask(*roles), float)
    scale = mobility_scale(computer)
    if isinstance(computer.couplings, ModeCouplings | LowRankCouplings):
        with jax.enable_x64(True):
            result = solve_low_rank(computer, statistics, trained, ridge, tolerance, scale)
        _check_residual(result.residual, tolerance, result.iterations)
        return result
    with jax.enable_x64(True):
        zero = on_values(lambda leaf: jnp.zeros(leaf.shape), as_pairs(computer.couplings))
        equations = NormalEquations.of(statistics, trained, ridge, scale)
        J, bias, residual, done = _conjugate_gradients(
            equations,
            preconditioner(equations, zero),
            zero,
            # As arrays: numbers would be constants of the program, and another tolerance another program.
            jnp.asarray(tolerance),
            jnp.asarray(iterations),
        )
        if scale is not None:
            inverse = jnp.asarray(1 / scale)
            J = on_values(jnp.multiply, J, J.outer(inverse[None] / 2, inverse[None]))
            bias = bias * inverse
        residual, done = float(residual), int(done)
    _check_residual(residual, tolerance, done)
    dtype = computer.bias.dtype
    couplings = on_values(lambda leaf: jnp.asarray(np.asarray(leaf), dtype), J)
    values = couplings, jnp.asarray(np.asarray(bias), dtype)
    optimum = eqx.tree_at(lambda c: (c.couplings, c.bias), computer, values)
    return ExactResult(optimum, residual, done, time.perf_counter() - begun)


def _check_residual(residual: float, tolerance: float, iterations: int) -> None:
    # 0 / 0: the gradient is zero from the start.
    require(
        not np.isnan(residual),
        "the images teach no coupling, the gradient of each is 0: units on both its sides must feel the "
        "image; give the hidden ones an imprint",
    )
    if not residual <= tolerance:
        raise InputError(
            f"exact training stopped at a residual of {residual:.2g} after {iterations} iterations, above "
            f"the tolerance {tolerance:g}: give a larger tolerance, more iterations or a ridge"
        )


def solve_all_pairs(
    computer: Computer, statistics: Statistics, *, biases: bool = True, ridge: float = 0.0
) -> ExactResult:
    """The optimum if every pair is coupled and the stiffness of every unit is trained: a Lyapunov equation.

        J C' + C' J = -(U' + U'^T),    C' = C - mbar mbar^T / T,   U' = U - ubar mbar^T / T

    (without the primes if no bias is trained), in coordinates of one mobility. J_ii goes into the on-site
    J2_i + J_ii / 2. Start generation, and evaluate the loss, with the untrained units: pass
    `idle=computer.uncoupled()` to `generate` and `path_loss`.
    Raises InputError for a topology that leaves a pair out, and what `solve` raises.
    Cost: one eigendecomposition of an (N, N) matrix.
    """
    begun = time.perf_counter()
    _check_problem(computer, statistics, ridge)
    total, duration = computer.units.total, statistics.process.duration
    pairs = total * (total - 1) // 2
    require(
        computer.couplings.count() == pairs,
        f"the topology couples {computer.couplings.count()} of {pairs} pairs: use all_to_all, or solve",
    )
    means = statistics.units
    C, U = statistics.second_moment() + ridge * duration * np.eye(total), statistics.cross_moment()
    if biases:
        C = C - np.outer(means.mean, means.mean) / duration
        U = U - np.outer(means.drive, means.mean) / duration
    scale = mobility_scale(computer)
    if scale is not None:
        C, U = C / np.outer(scale, scale), U * np.outer(scale, 1 / scale)
    size, basis = np.linalg.eigh(C)
    J = -basis @ ((basis.T @ (U + U.T) @ basis) / (size[:, None] + size)) @ basis.T
    J = (J + J.T) / 2
    residual = np.linalg.norm(J @ C + C @ J + U + U.T) / np.linalg.norm(U + U.T)
    if scale is not None:
        J = J / np.outer(scale, scale)
    bias = -(means.drive + J @ means.mean) / duration if biases else np.zeros(total)
    dtype = computer.bias.dtype
    values = (
        as_pairs(computer.couplings).with_matrix(jnp.asarray(J, dtype)),
        jnp.asarray(bias, dtype),
        computer.J2 + jnp.asarray(np.diagonal(J) / 2, dtype),
    )
    trained = eqx.tree_at(lambda c: (c.couplings, c.bias, c.J2), computer, values)
    return ExactResult(trained, float(residual), 0, time.perf_counter() - begun)


def _check_problem(computer: Computer, statistics: Statistics, ridge: float) -> None:
    require(ridge >= 0, f"ridge = {ridge}: give 0 or more")
    process = statistics.process
    schedule = Schedule(process.t_f, process.t_f, process.ramp_fraction)
    Process.of(computer, schedule).check(process, "the statistics", ("segment", "segments"))
    require(
        computer.couplings.count() > 0, "the topology couples no pair of units: nothing to train; add links"
    )


@eqx.filter_jit
def _conjugate_gradients(
    equations: NormalEquations, inverse: Preconditioner, zero: PairCouplings, tolerance, iterations
):
    offset = equations.offset(zero)
    r = on_values(jnp.negative, offset)
    start = r.dot(r)
    spread = equations.spread(zero)
    z = inverse.apply(r)
    state = (zero, r, z, r.dot(z), 0)

    def combine(x: PairCouplings, scale, y: PairCouplings) -> PairCouplings:
        return on_values(lambda a, b: a + scale * b, x, y)

    def unfinished(state):
        _, r, _, _, done = state
        # A margin for what rounding adds when the residual is computed anew.
        return (r.dot(r) > (0.9 * tolerance) ** 2 * start) & (done < iterations)

    def iterate(state):
        J, r, p, rz, done = state
        q = equations.gradient(p, spread)
        step = rz / p.dot(q)
        J, r = combine(J, step, p), combine(r, -step, q)
        z = inverse.apply(r)
        after = r.dot(z)
        return J, r, combine(z, after / rz, p), after, done + 1

    J, *_, done = jax.lax.while_loop(unfinished, iterate, state)
    # The residual is taken anew from the solution, not from the recursion.
    rest = combine(offset, 1.0, equations.gradient(J, spread))
    return J, equations.biases(J), jnp.sqrt(rest.dot(rest) / start), done
