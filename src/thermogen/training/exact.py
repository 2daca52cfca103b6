"""Exact training: the couplings and biases that minimise the loss averaged over all thermal noise.

In the noising process the units are independent given the image, and the loss is quadratic in (J, b): its
average needs only the moments of one unit, and its minimum is the solution of a linear system
(`thermogen.training.normal`), found by conjugate gradients. No trajectory is sampled.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from thermogen.computer import Computer
from thermogen.couplings import Couplings
from thermogen.errors import InputError, require
from thermogen.noising import Schedule
from thermogen.training.fit import VALIDATION_PATHS, TrainingResult
from thermogen.training.normal import NormalEquations, Preconditioner, on_values, preconditioner
from thermogen.training.statistics import Process, Statistics, statistics
from thermogen.training.validation import path_loss

TOLERANCE = 1e-6
"""Size of the gradient at the end, relative to that at the start (J = 0, b = 0)."""


class ExactResult(NamedTuple):
    """The optimum, the size of the gradient there relative to that at the start, and what it took."""

    computer: Computer
    residual: float
    iterations: int
    seconds: float


def solve(
    computer: Computer,
    known: Statistics,
    *,
    visible_biases: bool = False,
    ridge: float = 0.0,
    tolerance: float = TOLERANCE,
    iterations: int = 2000,
) -> ExactResult:
    """The optimum on the couplings of `computer`'s topology and its hidden (and visible) biases.

    Conjugate gradients in float64 on the couplings that exist, until the gradient is `tolerance` times its
    size at the start (J = 0, b = 0). `ridge` >= 0 (in units of x^2) acts as that much more variance of every
    unit: it keeps couplings small that few images determine.

    Raises InputError for a negative ridge, for statistics of another process, for a topology without pairs,
    and if the tolerance is not reached within `iterations`.
    Cost: per iteration two products of the couplings with rank(C) vectors; tens of iterations.
    """
    begun = time.perf_counter()
    require(0 < tolerance < 1, f"tolerance = {tolerance}: give a number between 0 and 1")
    require(ridge >= 0, f"ridge = {ridge}: give 0 or more")
    schedule = Schedule(known.process.t_f, known.process.t_f, known.process.ramp_fraction)
    Process.of(computer, schedule).check(known.process, "the statistics", ("segment", "segments"))
    require(
        computer.couplings.count() > 0, "the topology couples no pair of units: nothing to train; add links"
    )
    units = computer.units
    roles = ("visible", "hidden", "output") if visible_biases else ("hidden", "output")
    with jax.enable_x64(True):
        zero = on_values(lambda leaf: jnp.zeros(leaf.shape), computer.couplings)
        equations = NormalEquations.of(known, np.asarray(units.mask(*roles)), ridge)
        J, bias, residual, done = _conjugate_gradients(
            equations, preconditioner(equations, zero), zero, tolerance, iterations
        )
        residual, done = float(residual), int(done)
    if not residual <= tolerance:
        raise InputError(
            f"exact training stopped at a residual of {residual:.2g} after {done} iterations, above the "
            f"tolerance {tolerance:g}: give a larger tolerance, more iterations or a ridge"
        )
    dtype = computer.bias.dtype
    trained = eqx.tree_at(
        lambda c: (c.couplings, c.bias),
        computer,
        (
            on_values(lambda leaf: jnp.asarray(np.asarray(leaf), dtype), J),
            jnp.asarray(np.asarray(bias), dtype),
        ),
    )
    return ExactResult(trained, residual, done, time.perf_counter() - begun)


@eqx.filter_jit
def _conjugate_gradients(
    equations: NormalEquations, inverse: Preconditioner, zero: Couplings, tolerance: float, iterations: int
):
    offset = equations.offset(zero)
    r = on_values(jnp.negative, offset)
    start = r.dot(r)
    z = inverse.apply(r)
    state = (zero, r, z, r.dot(z), 0)

    def combine(x: Couplings, scale, y: Couplings) -> Couplings:
        return on_values(lambda a, b: a + scale * b, x, y)

    def unfinished(state):
        _, r, _, _, done = state
        # A margin for what rounding adds when the residual is computed anew.
        return (r.dot(r) > (0.9 * tolerance) ** 2 * start) & (done < iterations)

    def iterate(state):
        J, r, p, rz, done = state
        q = equations.gradient(p)
        step = rz / p.dot(q)
        J, r = combine(J, step, p), combine(r, -step, q)
        z = inverse.apply(r)
        after = r.dot(z)
        return J, r, combine(z, after / rz, p), after, done + 1

    J, *_, done = jax.lax.while_loop(unfinished, iterate, state)
    # The residual is taken anew from the solution, not from the recursion.
    rest = combine(offset, 1.0, equations.gradient(J))
    return J, equations.biases(J), jnp.sqrt(rest.dot(rest) / start), done


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
        statistics(computer, fields, schedule)[0],
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
