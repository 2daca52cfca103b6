"""Settings of a class-conditional generator, checked before any work. The import does not load JAX."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from thermogen.errors import require
from thermogen.studies.options import DT, GENERATOR, RIDGE, SEED, Option, check_bounds

if TYPE_CHECKING:
    from thermogen.noising import Schedule

LABEL_DEFAULTS = {"modes": 24}
"""One J for all conditions overshoots along the modes in which they differ: few modes suit it."""
MATCHED_DEFAULTS = {"amplitude": 0.1, "kT": 3.125e-5, "readout": 0.05}
"""Settings of moment matching, which needs nearly linear units: smaller images, thermal noise in proportion.

The read-out is short, since variances still grow.
"""


@dataclass(frozen=True)
class ConditionalSettings:
    """Settings of a class-conditional generator. Energies in E0, times in 1 / (mobility E0).

    clusters: at most one per five images. amplitude: field of a pixel one standard deviation above the mean
    of its image. docs/all-classes.md measures the effect of each setting.
    """

    # fmt: off
    clusters: Annotated[int, Option("Number of conditions of every class.", GENERATOR, least=1)] = 100
    modes: Annotated[int, Option(
        "Number of shared modes r.", GENERATOR, default="128; with --label-units 24", least=1)] = 128
    segments: Annotated[int, Option(
        "Segments of t_f, each with its own coefficients.", GENERATOR, least=1)] = 1
    amplitude: Annotated[float, Option(
        "Field per unit of image contrast, in E0.", GENERATOR, default="0.4; with --match 0.1")] = 0.4
    kT: Annotated[float, Option(
        "Thermal energy in E0.", GENERATOR, default="5e-4; with --match 3.125e-5", flag="--kT")] = 5e-4
    t_f: float = 2.5
    dt: Annotated[float, DT] = 0.01
    ramp_fraction: float = 0.75
    readout: float = 0.5
    ridge: Annotated[float, RIDGE] = 0.0
    pool: float = 0.0
    refine: Annotated[int, Option(
        "Rounds of refinement on states that the generator draws.", GENERATOR, least=0)] = 0
    label_units: Annotated[bool, Option(
        "Train one set of couplings for all classes. Fields on label units select the class.",
        GENERATOR)] = False
    match: Annotated[float | None, Option(
        "Match mean and covariance at t_f instead of reverse-path training, with this share of the "
        "variance of the data, e.g. 0.3.", GENERATOR, least=0, most=1)] = None
    seed: Annotated[int, SEED] = 0
    # fmt: on

    def __post_init__(self) -> None:
        """Refuse values that cannot be used."""
        from thermogen.generation import check_segments

        check_bounds(self)
        require(
            math.isfinite(self.amplitude) and self.amplitude > 0,
            f"amplitude = {self.amplitude}: give a positive field in E0, e.g. 0.4",
        )
        check_segments(self.schedule, self.segments)
        way = "label units" if self.label_units else None if self.match is None else "matched moments"
        for name in ("segments", "refine", "ridge", "pool", *(["match"] if self.label_units else [])):
            value = getattr(self, name)
            require(
                way is None or value == type(self).__dataclass_fields__[name].default,
                f"{name} = {value} with {way}: it belongs to another way of training, leave it out",
            )

    @classmethod
    def of(cls, **given: Any) -> ConditionalSettings:
        """Settings with the defaults that suit `label_units` or `match` where `given` has None or nothing."""
        chosen = {name: value for name, value in given.items() if value is not None}
        matched = MATCHED_DEFAULTS if "match" in chosen else {}
        return cls(**{**(LABEL_DEFAULTS if chosen.get("label_units") else matched), **chosen})

    @property
    def schedule(self) -> Schedule:
        """Noising and generation times."""
        from thermogen.noising import Schedule

        return Schedule(self.t_f, self.dt, self.ramp_fraction, self.readout)
