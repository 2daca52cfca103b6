"""A model prepared for the page, shared by all visitors."""

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
"""In a drawing: a free unit. Levels go from 0, paper, to 255, ink."""


@dataclass(frozen=True)
class ShownModel:
    """A model with its grey levels and the scale of its states. All visitors share it."""

    name: str
    model: Model
    grey_levels: GreyLevels

    @classmethod
    def of(cls, name: str, model: Model) -> ShownModel:
        """A model prepared for the page."""
        return cls(name, model, GreyLevels.of(model))

    @property
    def scale(self) -> float:
        """The |x| of full ink or its opposite: a little more than the state for ink."""
        return 1.15 * float(np.abs(self.grey_levels.levels).max())

    @property
    def labels(self) -> tuple[int, ...]:
        """Classes to choose from: those of the control, or pictures clamped on hidden units."""
        return self.model.computer.labels or self.grey_levels.labels

    @cached_property
    def survey(self) -> Survey:
        """The images of each condition; computed when a drawing is completed for the first time."""
        # Heun in 25 steps gives the images of 250 Euler steps (docs/speed.md) in a fifth of the time.
        schedule = self.model.schedule
        return survey(
            self.model, schedule=replace(schedule, dt=schedule.t_f / 25), integrator=StochasticHeun()
        )


def levels(values: Float[np.ndarray, "*any"], scale: float) -> UInt8[np.ndarray, "*any"]:
    """Values as 0 to 255, from -scale to scale; 0 is between 127 and 128."""
    return np.clip(np.floor((values / scale + 1) * 128), 0, 255).astype(np.uint8)
