"""Exact training: the couplings and biases that minimise the loss averaged over all thermal noise.

In the noising process the units are independent given the image, and the loss is quadratic in (J, b): its
average needs only the moments of one unit, and its minimum is the solution of a linear system
(`thermogen.training.exact.normal_equations`), found by conjugate gradients. No trajectory is sampled.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from thermogen.computer import Computer
from thermogen.control import PerClass, Segments
from thermogen.couplings import Compression, Couplings, LowRankCouplings, ModeCouplings, compress
from thermogen.errors import InputError, require
from thermogen.noising import Schedule
from thermogen.parallel import from_first
from thermogen.training.exact.low_rank import solve_low_rank
from thermogen.training.exact.normal_equations import (
    NormalEquations,
    Preconditioner,
    mobility_scale,
    on_values,
    preconditioner,
)
from thermogen.training.exact.statistics import Process, Statistics
from thermogen.training.exact.summation import statistics
from thermogen.training.path_loss import path_loss
from thermogen.training.sampled.train import VALIDATION_PATHS, TrainingResult, check_step

TOLERANCE = 1e-6
"""Size of the gradient at the end, relative to that at the start (J = 0, b = 0).

Where units differ in mobility, it is the gradient in the coordinates of `training.exact.normal_equations`.
"""


class ExactResult(NamedTuple):
    """The optimum, the size of the gradient there relative to that at the start, and what it took.

    force_error: of couplings through modes, the relative force that the chosen modes leave out.
    """

    computer: Computer
    residual: float
    iterations: int
    seconds: float
    force_error: float | None = None


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
    size at the start (J = 0, b = 0). Units may differ in mobility. `ridge` >= 0 (in units of x^2) acts as
    that much more variance of every unit: it keeps couplings small that few images determine.

    Couplings through r modes (`ModeCouplings`) and low-rank ones get their factors, see
    `thermogen.training.exact.low_rank`; through modes the stiffness of the units is part of J.

    Raises InputError for a negative ridge, for statistics of another process, for a topology without pairs,
    and if the tolerance is not reached within `iterations`.
    Cost: per iteration two products of the couplings with rank(C) vectors; tens of iterations. Couplings on
    edges take O(edges x rank) operations and 50 bytes an edge, N x rank numbers in all: nothing is N x N.
    """
    begun = time.perf_counter()
    require(0 < tolerance < 1, f"tolerance = {tolerance}: give a number between 0 and 1")
    _check_problem(computer, known, ridge)
    units = computer.units
    roles = ("visible", "hidden", "output") if visible_biases else ("hidden", "output")
    scale = mobility_scale(computer)
    if isinstance(computer.couplings, ModeCouplings | LowRankCouplings):
        with jax.enable_x64(True):
            found = solve_low_rank(
                computer, known, np.asarray(units.mask(*roles), float), ridge, tolerance, scale
            )
        _check_residual(found.residual, tolerance, found.iterations)
        return ExactResult(*found)
    with jax.enable_x64(True):
        zero = on_values(lambda leaf: jnp.zeros(leaf.shape), computer.couplings)
        equations = NormalEquations.of(known, np.asarray(units.mask(*roles)), ridge, scale)
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
    trained = eqx.tree_at(
        lambda c: (c.couplings, c.bias),
        computer,
        (
            on_values(lambda leaf: jnp.asarray(np.asarray(leaf), dtype), J),
            jnp.asarray(np.asarray(bias), dtype),
        ),
    )
    return ExactResult(trained, residual, done, time.perf_counter() - begun)


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
    computer: Computer, known: Statistics, *, biases: bool = True, ridge: float = 0.0
) -> ExactResult:
    """The optimum if every pair is coupled and the stiffness of every unit is trained: a Lyapunov equation.

        J C' + C' J = -(U' + U'^T),    C' = C - mbar mbar^T / T,   U' = U - ubar mbar^T / T

    (without the primes if no bias is trained), in coordinates of one mobility. J_ii goes into the on-site
    J2_i + J_ii / 2. Start generation, and judge the loss, with the units as they were: pass
    `idle=computer.uncoupled()` to `generate` and `path_loss`.
    Raises InputError for a topology that leaves a pair out, and what `solve` raises.
    Cost: one eigendecomposition of an (N, N) matrix.
    """
    begun = time.perf_counter()
    _check_problem(computer, known, ridge)
    total, duration = computer.units.total, known.process.duration
    pairs = total * (total - 1) // 2
    require(
        computer.couplings.count() == pairs,
        f"the topology couples {computer.couplings.count()} of {pairs} pairs: use all_to_all, or solve",
    )
    means = known.units
    C, U = known.second_moment() + ridge * duration * np.eye(total), known.cross_moment()
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
        computer.couplings.with_matrix(jnp.asarray(J, dtype)),
        jnp.asarray(bias, dtype),
        computer.J2 + jnp.asarray(np.diagonal(J) / 2, dtype),
    )
    trained = eqx.tree_at(lambda c: (c.couplings, c.bias, c.J2), computer, values)
    return ExactResult(trained, float(residual), 0, time.perf_counter() - begun)


def _check_problem(computer: Computer, known: Statistics, ridge: float) -> None:
    require(ridge >= 0, f"ridge = {ridge}: give 0 or more")
    schedule = Schedule(known.process.t_f, known.process.t_f, known.process.ramp_fraction)
    Process.of(computer, schedule).check(known.process, "the statistics", ("segment", "segments"))
    require(
        computer.couplings.count() > 0, "the topology couples no pair of units: nothing to train; add links"
    )


@eqx.filter_jit
def _conjugate_gradients(
    equations: NormalEquations, inverse: Preconditioner, zero: Couplings, tolerance, iterations
):
    offset = equations.offset(zero)
    r = on_values(jnp.negative, offset)
    start = r.dot(r)
    spread = equations.spread(zero)
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


def train_exact(
    key: Key[Array, ""],
    computer: Computer,
    fields: Float[Array, "P N"],
    schedule: Schedule,
    *,
    labels: np.ndarray | None = None,
    segments: int = 1,
    visible_biases: bool = False,
    ridge: float = 0.0,
    compression: float | None = None,
    tolerance: float = TOLERANCE,
    checkpoint: Path | None = None,
    settings: dict[str, Any] | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> TrainingResult:
    """Train on the exact average over all thermal noise: `statistics`, then `solve`.

    Returns what `train` returns; the loss on the fixed paths of `key` is given before (0) and after (1). The
    trained computer is `Segments` for more than one segment, constant in each of equal parts of t_f. With
    `labels` (P,), each label gets couplings of its own, from its images alone: `PerClass`. With
    `compression`, a relative force error, the couplings are replaced by low-rank ones (`compress`).

    With `checkpoint` (a file), long sums over images are stored, with `settings`, and gone on from.
    `progress(fraction, note)` is called between chunks of images and solutions.

    Raises InputError for less than two images, or for images that are equal, besides what `statistics` and
    `solve` raise.
    """
    begun = time.perf_counter()
    fields = jnp.asarray(fields)
    _check_images(fields, computer)
    tick = progress or (lambda fraction, note: None)
    members = {None: np.arange(len(fields))}
    if labels is not None:
        members = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}
    trained: dict[int | None, Computer | Segments] = {}
    solved: list[ExactResult] = []
    packed: list[Compression] = []
    done = 0
    for label, chosen in members.items():
        part = None
        if checkpoint is not None:
            part = checkpoint if label is None else checkpoint.with_name(f"{checkpoint.name}.{label}")
        known = statistics(
            computer,
            fields[chosen],
            schedule,
            segments=segments,
            checkpoint=part,
            identity=settings,
            progress=lambda images, done=done: tick(0.7 * (done + images) / len(fields), "statistics"),
        )
        computers: list[Computer] = []
        ranks: dict[str, int] = {}
        for one in known:
            result = solve(computer, one, visible_biases=visible_biases, ridge=ridge, tolerance=tolerance)
            solved.append(result)
            each = result.computer
            if compression is not None:
                packed.append(compress(each.couplings, one.second_moment(), compression))
                each = eqx.tree_at(lambda c: c.couplings, each, packed[-1].couplings)
            if isinstance(each.couplings, LowRankCouplings):
                ranks |= {link: max(rank, ranks.get(link, 0)) for link, rank in each.couplings.ranks.items()}
            computers.insert(0, each)  # generation undoes the last segment of noising first
        computers = [_padded(each, ranks) for each in computers]
        control = computers[0] if segments == 1 else Segments.from_computers(computers, schedule.t_f)
        trained[label] = from_first("the solution", lambda control=control: control)
        done += len(chosen)
        tick(0.7 + 0.2 * len(trained) / len(members), "solution")
    _, validation_key = jax.random.split(key)
    paths = jnp.arange(VALIDATION_PATHS)
    losses = np.array(
        [
            [
                np.asarray(path_loss(validation_key, each, fields[chosen], schedule, paths), float)
                for each in (computer, trained[label])
            ]
            for label, chosen in members.items()
        ]
    ).mean(0)
    if not np.isfinite(losses).all():
        check_step(validation_key, computer, fields, schedule, paths)
        raise InputError("the loss on fixed paths is not a number: lower the amplitudes, or give a ridge")
    error = (losses[1] - losses[0]).std(ddof=1) / np.sqrt(len(paths))
    validation = np.array([[0, losses[0].mean(), 0.0], [1, losses[1].mean(), error]])
    control = trained.get(None) or PerClass.from_controls({k: v for k, v in trained.items() if k is not None})
    exact: dict[str, Any] = {
        "residual": max(result.residual for result in solved),
        "iterations": sum(result.iterations for result in solved),
    }
    missed = [result.force_error for result in solved if result.force_error is not None]
    if missed:
        exact["force_error"] = max(missed)
    if packed:
        exact["ranks"] = {link: max(one.ranks[link] for one in packed) for link in packed[0].ranks}
        exact["force_error"] = max(one.force_error for one in packed)
    return TrainingResult(control, np.zeros(0), validation, time.perf_counter() - begun, exact)


def _padded(computer: Computer, ranks: dict[str, int]) -> Computer:
    """Low-rank couplings with the modes that all segments share on one device."""
    if not isinstance(computer.couplings, LowRankCouplings):
        return computer
    return eqx.tree_at(lambda c: c.couplings, computer, computer.couplings.padded(ranks))


def _check_images(fields: Float[Array, "P N"], computer: Computer) -> None:
    require(
        len(fields) > 1,
        f"{len(fields)} image: exact training needs two or more that differ; give more images",
    )
    images = np.asarray(fields[:, : computer.units.visible])
    seen: dict[bytes, int] = {}
    for number, image in enumerate(images):
        first = seen.setdefault(hashlib.blake2b(image.tobytes(), digest_size=16).digest(), number)
        require(first == number, f"images {first} and {number} are equal: leave one of them out")
