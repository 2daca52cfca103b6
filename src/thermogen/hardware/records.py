"""Platforms by name: documented records of their elements, with their ranges."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from thermogen.errors import InputError, require
from thermogen.hardware.physical import PhysicalComputer, largest_variable
from thermogen.hardware.platforms import Platform, electrical, mechanical, si, superconducting

_KINDS: dict[str, tuple[Callable[..., Platform], dict[str, str], str]] = {
    "electrical": (electrical, {"capacitance": "farad", "resistance": "ohm"}, "volt"),
    "superconducting": (superconducting, {"inductance": "henry", "resistance": "ohm"}, "weber"),
    "mechanical": (mechanical, {"spring": "newton / meter", "friction": "kilogram / second"}, "meter"),
}


@dataclass(frozen=True)
class Element:
    """An element's value and range, in SI units, and where the number comes from."""

    value: float
    low: float
    high: float
    unit: str
    source: str


@dataclass(frozen=True)
class Active:
    """Cost of a transconductor: supply (V), g_m / I_D (1/V), and noise 4 k_B T g_m times a factor."""

    supply: float
    efficiency: float
    noise: float
    source: str


@dataclass(frozen=True)
class PlatformRecord:
    """A platform by name: its kind, elements, and the largest swing of a unit, in SI units, with its source.

    active: the cost of its couplers, if they are transconductors.
    """

    name: str
    kind: str
    title: str
    one_way: bool
    elements: dict[str, Element]
    swing: float
    swing_source: str
    active: Active | None = None

    def platform(self, changed: Mapping[str, Any] | None = None) -> Platform:
        """The platform with other values of some elements, e.g. {'capacitance': '2 fF'}.

        Raises InputError for an element it does not have, another dimension, or a value outside its range.
        """
        changed = changed or {}
        for name in changed:
            require(
                name in self.elements, f"{self.name} has no {name}: choose among {', '.join(self.elements)}"
            )
        values = {}
        for name, element in self.elements.items():
            value = si(name, changed[name], element.unit) if name in changed else element.value
            require(
                element.low <= value <= element.high,
                f"{name} = {changed.get(name)} is outside the range of {self.name}, {element.low:g} to "
                f"{element.high:g} {element.unit}: choose a value within it, or a platform file of your own",
            )
            values[name] = f"{value!r} {element.unit}"
        return replace(_KINDS[self.kind][0](**values), name=self.name, one_way=self.one_way)

    def check(self, physical: PhysicalComputer) -> None:
        """InputError if the largest expected variable exceeds the range of the platform's elements."""
        largest = largest_variable(physical)
        unit = _KINDS[self.kind][2]
        require(
            largest <= self.swing,
            f"a unit would reach {largest:.3g} {unit}, {self.name} holds {self.swing:.3g} {unit}: "
            "lower the temperature, take a stiffer element (more capacitance, less inductance)",
        )


def records(path: Path | None = None) -> dict[str, PlatformRecord]:
    """All platforms by name, of the shipped file or another one; InputError for an invalid file."""
    source = path or files("thermogen.hardware") / "records.toml"
    try:
        tables = tomllib.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"platform file {path} does not exist: check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"platform file {path} is no TOML ({error}): edit a copy of the shipped one"
        ) from error
    return {name: _record(name, table, str(path or "records.toml")) for name, table in tables.items()}


def record(name: str, path: Path | None = None) -> PlatformRecord:
    """One platform; InputError for an unknown name."""
    platforms = records(path)
    require(name in platforms, f"unknown platform {name!r}: choose one of {', '.join(platforms)}")
    return platforms[name]


def _record(name: str, table: Any, file: str) -> PlatformRecord:
    try:
        kind = table["kind"]
        if kind not in _KINDS:
            raise InputError(f"{file}: kind of {name} is {kind!r}: choose one of {', '.join(_KINDS)}")
        _, units, variable = _KINDS[kind]
        elements = {}
        for element, unit in {**units, "temperature": "kelvin"}.items():
            own = table[element]
            value, low, high = (
                si(f"{element} of {name}", own[key], unit) for key in ("value", "low", "high")
            )
            elements[element] = Element(value, low, high, unit, own["source"])
        swing = si(f"variable of {name}", table["variable"]["value"], variable)
        active = None
        if "active" in table:
            own = table["active"]
            supply = si(f"supply of {name}", own["supply"], "volt")
            efficiency = si(f"efficiency of {name}", own["efficiency"], "1 / volt")
            active = Active(supply, efficiency, float(own["noise"]), own["source"])
        source = table["variable"]["source"]
        return PlatformRecord(name, kind, table["title"], table["one_way"], elements, swing, source, active)
    except (KeyError, TypeError) as error:
        raise InputError(f"{file}: platform {name} lacks {error}: see the shipped records") from error
