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
from thermogen.studies.measures import mean_by_class
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
    """The trained control, the condition of each training image, and the result of refinement, if any."""

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
    conditions, classes = np.zeros(len(images), int), []
    with stage("clusters", len(labels)) as tick:
        for number, label in enumerate(labels):
            own = images.labels == label
            kinds = clusters(flat[own], settings.clusters, settings.seed)
            conditions[own] = len(classes) + kinds
            classes += [int(label)] * (int(kinds.max()) + 1)
            tick(number + 1, "")
    return conditions, np.array(classes)


def train_conditional(
    images: Images, settings: ConditionalSettings, stage: Stage = silent
) -> ConditionalResult:
    """Exact training on all images: cluster each class, project on the leading modes, solve each condition.

    Raises InputError for a class of one image. Cost: 60,000 digits in 1,000 conditions of 128 modes take half
    a minute on two cores and 2.5 GB.
    """
    for label, count in zip(*np.unique(images.labels, return_counts=True), strict=True):
        require(
            bool(count > 1),
            f"class {label} of {images.source} has 1 image: a condition needs two or more; give labelled "
            "images with several of each class",
        )
    units, schedule = conditional_units(images, settings), settings.schedule
    if settings.label_units:
        check_size(units.units)
    conditions, classes = conditions_of(images, settings, stage)
    force = conditional_fields(images, settings)
    basis = mode_basis(force, min(settings.modes, force.shape[1]))
    if settings.match is not None:
        states = mean_in_field(force, *units.alike()[:2], kT=settings.kT)
        matched = solve_matched(units, states, conditions, classes, basis, schedule.t_f, share=settings.match)
        return ConditionalResult(matched, conditions)
    with stage("training", len(images)) as tick:
        statistics = mode_statistics(
            units,
            force,
            conditions,
            schedule,
            basis,
            segments=settings.segments,
            progress=lambda done: tick(done, "statistics"),
        )
    if settings.label_units:
        states = mean_in_field(force, *units.alike()[:2], kT=settings.kT)
        shown = np.stack([states[conditions == number].mean(0) for number in range(len(classes))])
        return ConditionalResult(solve_label_fields(units, statistics, basis, classes, shown), conditions)
    control = solve_modes(units, statistics, basis, classes, ridge=settings.ridge, pool=settings.pool)
    if not settings.refine:
        return ConditionalResult(control, conditions)
    target = target_moments(control, force, conditions, schedule)
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
    return ConditionalResult(refined.control, conditions, refined)


def conditional_model(
    images: Images,
    settings: ConditionalSettings,
    result: ConditionalResult,
    figures: dict[str, Any] | None = None,
) -> Model:
    """The content of the model folder: control, schedule, source of the images, settings."""
    flat = images.images.reshape(len(images), -1)
    training = {
        "trainer": "modes",
        "imprint": "visible",
        **asdict(settings),
        "image_span": [float(flat.min()), float(flat.max())],
        "image_mean": mean_by_class(flat.mean(1), images.labels),
        "image_std": mean_by_class(flat.std(1), images.labels),
    }
    data = {
        "source": images.source,
        "sha256": images.sha256,
        "labels": sorted({int(label) for label in images.labels}),
        "prototypes": len(images),
    }
    return Model(result.control, settings.schedule, images.shape, data, training, figures or {})
