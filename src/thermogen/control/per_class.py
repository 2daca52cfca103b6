"""One control per class: the device is set for what it is to draw."""

from __future__ import annotations

from collections.abc import Mapping

import equinox as eqx
from jaxtyping import Array, Float

from thermogen.computer import Computer
from thermogen.control.segments import Segments
from thermogen.couplings import Units
from thermogen.errors import InputError, require


def check_label(label: int, labels: tuple[int, ...]) -> None:
    """InputError for a label that is not among those that were trained."""
    if label not in labels:
        known = ", ".join(map(str, labels))
        raise InputError(f"label {label} was not trained: choose among {known}")


class PerClass(eqx.Module):
    """One control per condition, a class label: the device is set for what it is to draw."""

    controls: tuple[Computer | Segments, ...]
    labels: tuple[int, ...] = eqx.field(static=True)

    @classmethod
    def from_controls(cls, controls: Mapping[int, Computer | Segments]) -> PerClass:
        """From a mapping of labels to controls; InputError if it is empty."""
        require(len(controls) > 0, "no condition given: give a control for one label or more")
        return cls(tuple(controls.values()), tuple(int(label) for label in controls))

    @property
    def units(self) -> Units:
        """The units by role."""
        return self.controls[0].units

    @property
    def kT(self) -> Float[Array, ""]:
        """Thermal energy in E0."""
        return self.controls[0].kT

    def choose(self, label: int) -> Computer | Segments:
        """The control for a label; InputError for one that was not trained."""
        check_label(label, self.labels)
        return self.controls[self.labels.index(label)]

    def uncoupled(self) -> Computer:
        """The same units with J = 0 and b = 0."""
        return self.controls[0].uncoupled()
