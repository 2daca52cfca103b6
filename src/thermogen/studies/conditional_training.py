"""Training of a class-conditional generator: clusters, shared modes and exact training of each condition."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thermogen.computer import Computer, make_computer
from thermogen.control import LabelFields, ModeTable
from thermogen.couplings import NoCouplings, Units
from thermogen.data import Images
from thermogen.errors import require
from thermogen.langevin import mean_in_field
from thermogen.seeds import stream
from thermogen.storage.model import Model
from thermogen.studies.conditional_settings import ConditionalSettings
from thermogen.studies.progress import Stage, silent
from thermogen.training import (
    Refinement,
    clusters,
    mode_basis,
    mode_statistics,
    refine_moments,
    solve_label_fields,
    solve_matched,
    solve_modes,
    target_moments,
)
from thermogen.training.conditional.label_units import check_size


@dataclass(frozen=True)
class ConditionalResult:
    """The trained control, the condition of each training image, and what refinement found, if any."""

    control: ModeTable | LabelFields
    conditions: Int[np.ndarray, " P"]
    refinement: Refinement | None = None


def conditional_fields(images: Images, settings: ConditionalSettings) -> Float[np.ndarray, "P pixels"]:
    """The fields that imprint images: amplitude times the standardised pixels, float32."""
    return (settings.amplitude * images.standardised()).astype(np.float32)


def conditional_units(images: Images, settings: ConditionalSettings) -> Computer:
    """The units, one per pixel, without couplings."""
    return make_computer(NoCouplings(Units(images.shape[0] * images.shape[1])), kT=settings.kT)


def conditions_of(
    images: Images, settings: ConditionalSettings, stage: Stage = silent
) -> tuple[Int[np.ndarray, " P"], Int[np.ndarray, " K"]]:
    """The condition of every image, and the class of every condition."""
    flat = images.images.reshape(len(images), -1)
    labels = np.unique(images.labels)
    found, classes = np.zeros(len(images), int), []
    with stage("clusters", len(labels)) as tick:
        for number, label in enumerate(labels):
            mine = images.labels == label
            kinds = clusters(flat[mine], settings.clusters, settings.seed)
            found[mine] = len(classes) + kinds
            classes += [int(label)] * (int(kinds.max()) + 1)
            tick(number + 1, "")
    return found, np.array(classes)


def train_conditional(
    images: Images, settings: ConditionalSettings, stage: Stage = silent
) -> ConditionalResult:
    """Train on all images exactly: cluster each class, project on the leading modes, solve each condition.

    Raises InputError for less than two images a condition can be made of. Cost: 60,000 digits in 1,000
    conditions of 128 modes take half a minute on two cores and 2.5 GB.
    """
    counts = {int(label): int(np.sum(images.labels == label)) for label in np.unique(images.labels)}
    few = [label for label, count in counts.items() if count < 2]
    require(
        not few,
        f"class {few[0] if few else ''} of {images.source} has 1 image: a condition needs two or more; "
        "give labelled images with several of each class",
    )
    units, schedule = conditional_units(images, settings), settings.schedule
    if settings.label_units:
        check_size(units.units)
    found, classes = conditions_of(images, settings, stage)
    force = conditional_fields(images, settings)
    basis = mode_basis(force, min(settings.modes, force.shape[1]))
    if settings.match is not None:
        states = mean_in_field(force, *units.alike()[:2], kT=settings.kT)
        matched = solve_matched(units, states, found, classes, basis, schedule.t_f, share=settings.match)
        return ConditionalResult(matched, found)
    with stage("training", len(images)) as tick:
        known = mode_statistics(
            units,
            force,
            found,
            schedule,
            basis,
            segments=settings.segments,
            progress=lambda done: tick(done, "statistics"),
        )
    if settings.label_units:
        states = mean_in_field(force, *units.alike()[:2], kT=settings.kT)
        shown = np.stack([states[found == number].mean(0) for number in range(len(classes))])
        return ConditionalResult(solve_label_fields(units, known, basis, classes, shown), found)
    control = solve_modes(units, known, basis, classes, ridge=settings.ridge, pool=settings.pool)
    if not settings.refine:
        return ConditionalResult(control, found)
    target = target_moments(control, force, found, schedule)
    with stage("refining", settings.refine + 1) as tick:
        refined = refine_moments(
            stream(settings.seed, "refinement"),
            control,
            target,
            schedule,
            rounds=settings.refine,
            samples=max(4000, 2 * len(classes)),
            progress=lambda number: tick(number + 1, ""),
        )
    return ConditionalResult(refined.control, found, refined)


def conditional_model(
    images: Images,
    settings: ConditionalSettings,
    result: ConditionalResult,
    figures: dict[str, Any] | None = None,
) -> Model:
    """The model folder's content: control, schedule, where the images came from, settings."""
    standard = images.images.reshape(len(images), -1)
    training = {
        "trainer": "modes",
        "imprint": "visible",
        **asdict(settings),
        "image_span": [float(standard.min()), float(standard.max())],
        "image_mean": _by_class(standard.mean(1), images.labels),
        "image_std": _by_class(standard.std(1), images.labels),
    }
    data = {
        "source": images.source,
        "sha256": images.sha256,
        "labels": sorted({int(label) for label in images.labels}),
        "prototypes": len(images),
    }
    return Model(result.control, settings.schedule, images.shape, data, training, figures or {})


def _by_class(values: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    return {str(label): float(values[labels == label].mean()) for label in np.unique(labels)}
