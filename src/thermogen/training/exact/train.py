"""Exact training: the couplings and biases that minimise the loss averaged over all thermal noise.

In the noising process the units are independent given the image, and the loss is quadratic in (J, b). Its
average needs only the moments of one unit (`training.exact.statistics`). Its minimum solves a linear system
(`training.exact.solve`). No trajectory is sampled.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from thermogen.computer import Computer
from thermogen.control import PerClass, Segments
from thermogen.couplings import Compression, LowRankCouplings, compress
from thermogen.errors import InputError, require
from thermogen.noising import Schedule, in_generation_order
from thermogen.parallel import from_first
from thermogen.training.exact.solve import TOLERANCE, solve
from thermogen.training.exact.summation import statistics
from thermogen.training.path_loss import VALIDATION_PATHS, check_step, path_loss
from thermogen.training.result import ExactResult, TrainingResult


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

        key             of the fixed noising paths, which give the loss before (0) and after (1)
        computer        units and topology
        fields          of the images, (P, N) in E0
        schedule        of noising and generation
        labels          (P,): every label gets couplings of its own, from its images alone, as `PerClass`
        segments        of equal length; more than one give `Segments`
        compression     couplings are replaced by low-rank ones (`compress`) of this relative force error
        visible_biases, ridge, tolerance
                        those of `solve`
        checkpoint      a file for long sums over images, stored with `settings`; training resumes from it
        progress        is called with (fraction, note) between chunks of images and solutions

    Returns what `train` returns.
    Raises InputError for less than two images, for equal images, and what `statistics` and `solve` raise.
    """
    begun = time.perf_counter()
    fields = jnp.asarray(fields)
    _check_images(fields, computer)
    tick = progress or (lambda fraction, note: None)
    members: dict[int | None, np.ndarray] = {None: np.arange(len(fields))}
    if labels is not None:
        members = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}
    trained: dict[int | None, Computer | Segments] = {}
    solutions: list[ExactResult] = []
    packed: list[Compression] = []
    done = 0
    for label, chosen in members.items():
        file = checkpoint
        if checkpoint is not None and label is not None:
            file = checkpoint.with_name(f"{checkpoint.name}.{label}")
        sums = statistics(
            computer,
            fields[chosen],
            schedule,
            segments=segments,
            checkpoint=file,
            identity=settings,
            progress=lambda images, done=done: tick(0.7 * (done + images) / len(fields), "statistics"),
        )
        computers: list[Computer] = []
        for segment in sums:
            solutions.append(
                solve(computer, segment, visible_biases=visible_biases, ridge=ridge, tolerance=tolerance)
            )
            optimum = solutions[-1].computer
            if compression is not None:
                packed.append(compress(optimum.couplings, segment.second_moment(), compression))
                optimum = eqx.tree_at(lambda c: c.couplings, optimum, packed[-1].couplings)
            computers.append(optimum)
        control = _in_time(computers, schedule)
        trained[label] = from_first("the solution", lambda control=control: control)
        done += len(chosen)
        tick(0.7 + 0.2 * len(trained) / len(members), "solution")
    validation = _validated(key, computer, fields, schedule, [(members[k], trained[k]) for k in members])
    control = trained.get(None) or PerClass.from_controls({k: v for k, v in trained.items() if k is not None})
    figures = _figures(solutions, packed)
    return TrainingResult(control, np.zeros(0), validation, time.perf_counter() - begun, figures)


def _in_time(computers: list[Computer], schedule: Schedule) -> Computer | Segments:
    """The control of generation from the computers of the segments of noising."""
    low_rank = [c.couplings for c in computers if isinstance(c.couplings, LowRankCouplings)]
    if low_rank:  # segments share one device, and therefore the number of modes
        ranks = {link: max(J.ranks[link] for J in low_rank) for link in low_rank[0].ranks}
        computers = [
            eqx.tree_at(lambda c: c.couplings, computer, J.padded(ranks))
            for computer, J in zip(computers, low_rank, strict=True)
        ]
    if len(computers) == 1:
        return computers[0]
    return Segments.from_computers(in_generation_order(computers), schedule.t_f)


def _validated(
    key: Key[Array, ""],
    untrained: Computer,
    fields: Float[Array, "P N"],
    schedule: Schedule,
    trained: list[tuple[np.ndarray, Computer | Segments]],
) -> Float[np.ndarray, "2 3"]:
    """Loss before and after on fixed paths of the images of each control, mean over the controls."""
    _, validation_key = jax.random.split(key)
    paths = jnp.arange(VALIDATION_PATHS)

    def loss(control: Computer | Segments, images: np.ndarray) -> np.ndarray:
        return np.asarray(path_loss(validation_key, control, fields[images], schedule, paths), float)

    losses = np.mean([[loss(untrained, images), loss(after, images)] for images, after in trained], 0)
    if not np.isfinite(losses).all():
        check_step(validation_key, untrained, fields, schedule, paths)
        raise InputError("the loss on fixed paths is not a number: lower the amplitudes, or give a ridge")
    error = (losses[1] - losses[0]).std(ddof=1) / np.sqrt(len(paths))
    return np.array([[0, losses[0].mean(), 0.0], [1, losses[1].mean(), error]])


def _figures(solutions: list[ExactResult], packed: list[Compression]) -> dict[str, Any]:
    """Residual, iterations, ranks and force error: the worst of all solutions."""
    figures: dict[str, Any] = {
        "residual": max(result.residual for result in solutions),
        "iterations": sum(result.iterations for result in solutions),
    }
    errors = [result.force_error for result in solutions if result.force_error is not None]
    if packed:
        figures["ranks"] = {link: max(J.ranks[link] for J in packed) for link in packed[0].ranks}
        errors = [J.force_error for J in packed]
    if errors:
        figures["force_error"] = max(errors)
    return figures


def _check_images(fields: Float[Array, "P N"], computer: Computer) -> None:
    require(
        len(fields) > 1,
        f"{len(fields)} image: exact training needs two or more that differ; give more images",
    )
    seen: dict[bytes, int] = {}
    for number, image in enumerate(np.asarray(fields[:, : computer.units.visible])):
        first = seen.setdefault(hashlib.blake2b(image.tobytes(), digest_size=16).digest(), number)
        require(first == number, f"images {first} and {number} are equal: leave one of them out")
