"""A model made ready to be shown, as all visitors share it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, UInt8

from thermogen.langevin import StochasticHeun
from thermogen.storage.model import Model
from thermogen.studies.completion import Survey, survey
from thermogen.studio.grey_levels import GreyLevels

FREE = -1
"""In a drawing: a unit that is left alone. Levels 0, paper, to 255, ink."""


@dataclass(frozen=True)
class ShownModel:
    """A model as all visitors share it: where its units stand, and the scale its states are shown on."""

    name: str
    model: Model
    standing: GreyLevels

    @classmethod
    def of(cls, name: str, model: Model) -> ShownModel:
        """A model made ready to be shown."""
        return cls(name, model, GreyLevels.of(model))

    @property
    def scale(self) -> float:
        """|x| that is shown as full ink or its opposite: a little beyond where ink stands."""
        return 1.15 * float(np.abs(self.standing.levels).max())

    @property
    def labels(self) -> tuple[int, ...]:
        """What can be asked for: classes of a control with conditions, or pictures held on hidden units."""
        return self.model.computer.labels or self.standing.labels

    @cached_property
    def survey(self) -> Survey:
        """What each condition draws; made when a drawing is to be finished for the first time."""
        # Heun in 25 steps draws what the model's own 250 draw (docs/speed.md), five times sooner.
        schedule = self.model.schedule
        return survey(
            self.model, schedule=replace(schedule, dt=schedule.t_f / 25), integrator=StochasticHeun()
        )


def levels(values: Float[np.ndarray, "*any"], scale: float) -> UInt8[np.ndarray, "*any"]:
    """Values as 0 to 255, from -scale to scale; 0 is between 127 and 128."""
    return np.clip(np.floor((values / scale + 1) * 128), 0, 255).astype(np.uint8)
