"""A generator of any asked class: clusters, shared modes and exact training of each."""

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
from thermogen.generation import check_segments
from thermogen.langevin import mean_in_field
from thermogen.noising import Schedule
from thermogen.seeds import check_seed, stream
from thermogen.storage.model import Model
from thermogen.studies.progress import Stage, silent
from thermogen.training import (
    Refinement,
    clusters,
    mode_basis,
    mode_statistics,
    refine,
    solve_label_fields,
    solve_matched,
    solve_modes,
    target_moments,
)
from thermogen.training.conditional.label_units import check_size

# One M for all conditions overshoots along the modes in which they differ: few modes suit it.
LABEL_DEFAULTS = {"modes": 24}
# The closed form is that of linear units: smaller images, and as much thermal noise beside them.
# They are read while variances still grow: in a short window.
MATCHED_DEFAULTS = {"amplitude": 0.1, "kT": 3.125e-5, "readout": 0.05}


@dataclass(frozen=True)
class ConditionalSettings:
    """All that decides a modal generator. Energies in E0, times in 1 / (mobility E0).

    clusters: conditions of every class (at most one per five images). modes: r. amplitude: field of a pixel
    one standard deviation above its image's mean. refine: rounds of refinement on its own states.
    label_units: one set of couplings for all, conditions asked for by fields on label units. match: not
    reverse-path training, but mean and covariance matched at t_f, with this share of the data's variance.
    What each contributes is measured in docs/all-classes.md.
    """

    clusters: int = 100
    modes: int = 128
    segments: int = 1
    amplitude: float = 0.4
    kT: float = 5e-4
    t_f: float = 2.5
    dt: float = 0.01
    ramp_fraction: float = 0.75
    readout: float = 0.5
    ridge: float = 0.0
    pool: float = 0.0
    refine: int = 0
    label_units: bool = False
    match: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what can be refused before any work."""
        for name in ("clusters", "modes", "segments"):
            require(getattr(self, name) >= 1, f"{name} = {getattr(self, name)}: give 1 or more")
        require(self.refine >= 0, f"refine = {self.refine}: give 0 or more rounds")
        require(
            bool(np.isfinite(self.amplitude)) and self.amplitude > 0,
            f"amplitude = {self.amplitude}: give a positive field in E0, e.g. 0.4",
        )
        check_seed(self.seed)
        check_segments(self.schedule, self.segments)
        require(
            self.match is None or 0 <= self.match <= 1,
            f"match = {self.match}: give the share of the data's variance, 0 to 1",
        )
        other = "label units" if self.label_units else None if self.match is None else "matched moments"
        for name in ("segments", "refine", "ridge", "pool", *(["match"] if self.label_units else [])):
            value = getattr(self, name)
            require(
                other is None or value == type(self).__dataclass_fields__[name].default,
                f"{name} = {value} with {other}: it belongs to another way of training, leave it out",
            )

    @classmethod
    def of(cls, **given: Any) -> ConditionalSettings:
        """Settings with the defaults that suit `label_units` or `match` where `given` has None or nothing."""
        chosen = {name: value for name, value in given.items() if value is not None}
        suited: dict[str, Any] = MATCHED_DEFAULTS if "match" in chosen else {}
        if chosen.get("label_units"):
            suited = LABEL_DEFAULTS
        return cls(**(suited | chosen))

    @property
    def schedule(self) -> Schedule:
        """Noising and generation times."""
        return Schedule(self.t_f, self.dt, self.ramp_fraction, self.readout)


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
        refined = refine(
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
