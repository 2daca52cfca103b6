"""One control per class."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, Int

from thermogen.computer import Computer, Control, Group
from thermogen.errors import InputError, require


def check_label(label: int, labels: tuple[int, ...]) -> None:
    """InputError for a label that is not among those that were trained."""
    if label not in labels:
        raise InputError(f"label {label} was not trained: choose among {', '.join(map(str, labels))}")


class PerClass(Control):
    """One control for each class: samples of one class run together.

    controls: one for each class, on the same units
    names: the classes, in the order in which samples are assigned to them
    """

    controls: tuple[Control, ...]
    names: tuple[int, ...] = eqx.field(static=True)

    @classmethod
    def from_controls(cls, controls: Mapping[int, Control]) -> PerClass:
        """From a mapping of labels to controls.

        Raises InputError if it is empty, and for controls of other numbers of units.
        """
        require(len(controls) > 0, "no condition given: give a control for one label or more")
        units = next(iter(controls.values())).units
        for label, control in controls.items():
            require(control.units == units, f"label {label} has {control.units}, others {units}")
        return cls(tuple(controls.values()), tuple(int(label) for label in controls))

    @property
    def labels(self) -> tuple[int, ...]:
        """The classes."""
        return self.names

    @property
    def kT(self) -> Float[Array, ""]:
        """Thermal energy in E0."""
        return self.controls[0].kT

    @property
    def duration(self) -> float | None:
        """t_f that the controls were made for; None for any."""
        return self.controls[0].duration

    @property
    def segments(self) -> int:
        """Equal parts of the duration in which the parameters of every class are constant."""
        return math.lcm(*(control.segments for control in self.controls))

    def choose(self, label: int) -> Control:
        """The control for a label; InputError for one that was not trained."""
        check_label(label, self.labels)
        return self.controls[self.names.index(label)]

    def groups(self, labels: Int[np.ndarray, " n"] | None, count: int) -> list[Group]:
        """The samples of each class, with the control of that class."""
        assert labels is not None
        return [
            Group(f"{label}-", self.choose(int(label)), np.flatnonzero(labels == label))
            for label in np.unique(labels)
        ]

    def uncoupled(self) -> Computer:
        """The same units with J = 0 and b = 0."""
        return self.controls[0].uncoupled()

    def computers(self) -> list[Computer]:
        """The computers of every class, in order of generation."""
        return [computer for control in self.controls for computer in control.computers()]

    def map_reference(self, change: Callable[[Computer], Computer]) -> PerClass:
        """The same with the units of every class changed by `change`."""
        return PerClass(tuple(control.map_reference(change) for control in self.controls), self.names)
