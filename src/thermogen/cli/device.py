"""The options of commands that wire a computer on a platform."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from thermogen.errors import require
from thermogen.studies.options import Option

_PANEL = "The device"


@dataclass(frozen=True)
class Device:
    """The computer of a model to wire, and its platform."""

    # fmt: off
    platform: Annotated[str, Option("Platform by name.", _PANEL)] = "cmos-1fF"
    changed: Annotated[list[str] | None, Option(
        "Another value of an element, e.g. capacitance=2fF; repeat for more.", _PANEL, flag="--set")] = None
    platforms: Annotated[Path | None, Option(
        "Your own platform file.", _PANEL, default="the shipped one")] = None
    label: Annotated[int | None, Option("Class to wire, of a class-conditional model.", _PANEL)] = None
    segment: Annotated[int | None, Option(
        "Segment of time to wire, of a model whose couplings change in time.", _PANEL)] = None
    # fmt: on


def circuit_of(model: Any, given: dict[str, Any], seed: int) -> Any:
    """The computer of a model on a platform, by the options of `Device`."""
    from thermogen.hardware import record
    from thermogen.studies.circuit_model import make_circuit_model

    device, values = Device(**given), {}
    for setting in device.changed or ():
        name, value = (word.strip() for word in setting.partition("=")[::2])
        require(bool(name and value), f"--set {setting}: write NAME=VALUE, e.g. capacitance=2fF")
        values[name] = value
    platform = record(device.platform, device.platforms)
    return make_circuit_model(
        model, platform, changed=values, label=device.label, segment=device.segment, seed=seed
    )
