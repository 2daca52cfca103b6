"""The prices of the ledger: records that check themselves, read from one documented file."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

from thermogen.errors import InputError, require

BOLTZMANN = 1.380649e-23
"""Boltzmann's constant, J/K (exact, SI 2019)."""

WRITING = ("cv2", "landauer", "flash", "dram")
"""Ways of giving couplings their values."""
HOLDING = ("active", "passive")
"""Ways of holding them while the computer runs."""
_FINEST = 32


@dataclass(frozen=True)
class Prices:
    """A section of the parameter file: every number in it is positive and finite, or InputError names it."""

    section: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Refuse values of another type, not positive, or not finite: one line that names the value."""
        for one in fields(self):
            value, name = getattr(self, one.name), f"{self.section}.{one.name}"
            if one.type == "float":
                number = isinstance(value, int | float) and not isinstance(value, bool)
                require(
                    number and math.isfinite(value) and value > 0,
                    f"{name} = {value!r}: give a positive number",
                )
            elif one.type == "int":
                require(_whole(value), f"{name} = {value!r}: give a whole number of 1 or more")


@dataclass(frozen=True)
class Environment(Prices):
    """The bath. temperature_K: its temperature, K."""

    section: ClassVar[str] = "environment"
    temperature_K: float

    @property
    def kT(self) -> float:
        """Thermal energy k_B T, J."""
        return BOLTZMANN * self.temperature_K


@dataclass(frozen=True)
class DigitalDenoiser(Prices):
    """The multilayer perceptron that the paper counts: fully connected layers run `steps` times.

        E = steps x sum_l n_l n_(l+1) x joules_per_mac

    Source of the widths, the 10 steps and 1 pJ a multiply–accumulate: Whitelam, PRL 136, 037101 (2026).
    """

    section: ClassVar[str] = "denoiser"
    widths: tuple[int, ...] = (784, 128, 128, 784)
    steps: int = 10
    joules_per_mac: float = 1e-12

    def __post_init__(self) -> None:
        """Refuse layers of no units besides what every section refuses."""
        super().__post_init__()
        sound = isinstance(self.widths, tuple) and len(self.widths) > 1 and all(map(_whole, self.widths))
        shown = list(self.widths) if isinstance(self.widths, tuple) else self.widths
        require(sound, f"denoiser.widths = {shown!r}: give two whole numbers of 1 or more, or a longer list")

    @property
    def macs_per_step(self) -> int:
        """Multiply–accumulates of one pass."""
        return sum(a * b for a, b in zip(self.widths, self.widths[1:], strict=False))

    @property
    def joules(self) -> float:
        """Energy of one sample, J."""
        return self.macs_per_step * self.steps * self.joules_per_mac


@dataclass(frozen=True)
class Processor(Prices):
    """A processor that simulates the device. joules_per_flop: J for a floating-point operation."""

    section: ClassVar[str] = "simulation"
    joules_per_flop: float


@dataclass(frozen=True)
class Readout(Prices):
    """Conversion of a visible unit: bits, and Walden's figure of merit in J for each of 2^bits steps."""

    section: ClassVar[str] = "readout"
    bits: int
    joules_per_conversion_step: float

    def __post_init__(self) -> None:
        """Refuse a precision that no converter has besides what every section refuses."""
        super().__post_init__()
        require(self.bits <= _FINEST, f"readout.bits = {self.bits}: give a whole number up to {_FINEST}")

    @property
    def joules_per_unit(self) -> float:
        """FoM 2^bits, J."""
        return self.joules_per_conversion_step * 2.0**self.bits


@dataclass(frozen=True)
class Writing(Prices):
    """Giving a coupling or bias its value, by a scheme of `WRITING`; meanings in the parameter file."""

    section: ClassVar[str] = "writing"
    scheme: str
    bits: int
    capacitance_F: float
    volts: float
    joules_per_flash_cell: float
    joules_per_dram_bit: float
    samples_per_write: int

    def __post_init__(self) -> None:
        """Refuse an unknown scheme besides what every section refuses."""
        super().__post_init__()
        _choice(self.section, self.scheme, WRITING)

    def joules_per_value(self, scheme: str, kT: float) -> float:
        """J to write one value: bits C V^2, bits kT ln 2, one cell, or bits (fetch + C V^2); kT in J."""
        _choice(self.section, scheme, WRITING)
        charging = self.bits * self.capacitance_F * self.volts**2
        return {
            "cv2": charging,
            "landauer": self.bits * kT * math.log(2),
            "flash": self.joules_per_flash_cell,
            "dram": self.bits * self.joules_per_dram_bit + charging,
        }[scheme]


@dataclass(frozen=True)
class Holding(Prices):
    """Couplings held by transconductors (active) or resistors (passive); meanings in the parameter file."""

    section: ClassVar[str] = "holding"
    scheme: str
    capacitance_F: float
    supply_V: float
    gm_over_Id_per_V: float

    def __post_init__(self) -> None:
        """Refuse an unknown scheme besides what every section refuses."""
        super().__post_init__()
        _choice(self.section, self.scheme, HOLDING)


@dataclass(frozen=True)
class Standby(Prices):
    """What flows all the time: rate mobility E0 in 1/s, leakage of a coupling in A, share of time drawing."""

    section: ClassVar[str] = "standby"
    rate_per_s: float
    leakage_A: float
    duty: float

    def __post_init__(self) -> None:
        """Refuse a share above 1 besides what every section refuses."""
        super().__post_init__()
        require(self.duty <= 1, f"standby.duty = {self.duty!r}: give a share of time, above 0 and up to 1")


@dataclass(frozen=True)
class Parameters:
    """All prices by section, as in the parameter file."""

    environment: Environment
    denoiser: DigitalDenoiser
    simulation: Processor
    readout: Readout
    writing: Writing
    holding: Holding
    standby: Standby


_SECTIONS: dict[str, type[Prices]] = {
    one.section: one for one in (Environment, DigitalDenoiser, Processor, Readout, Writing, Holding, Standby)
}


@cache
def default_text() -> str:
    """The parameter file that ships with the package, with its comments: what a user copies and edits."""
    return files("thermogen.ledger").joinpath("parameters.toml").read_text(encoding="utf-8")


def load_parameters(path: str | Path | None = None) -> Parameters:
    """The prices of a file, or those that ship (None); what the file leaves out keeps the shipped value.

    Raises InputError, one line with key, value and remedy, for a file that is missing or no TOML, an unknown
    section or key, a value of another type, or one that is not positive.
    """
    values = tomllib.loads(default_text())
    if path is not None:
        for section, entries in _read(Path(path)).items():
            _known(section in _SECTIONS, f"section [{section}]", path, _SECTIONS)
            require(isinstance(entries, dict), f"{section} = {entries!r} in {path}: write it as [{section}]")
            for name, value in entries.items():
                _known(name in values[section], f"key {section}.{name}", path, values[section])
                default = values[section][name]
                kinds = (int, float) if isinstance(default, float) else type(default)
                require(
                    isinstance(value, kinds),
                    f"{section}.{name} = {value!r} in {path}: give a value like the shipped {default!r}",
                )
                values[section][name] = value
    records: dict[str, Any] = {}
    for section, kind in _SECTIONS.items():
        entries = {name: tuple(v) if isinstance(v, list) else v for name, v in values[section].items()}
        try:
            records[section] = kind(**entries)
        except InputError as error:
            raise InputError(f"{error} (in {path})") from None
    return Parameters(**records)


def _read(path: Path) -> dict[str, Any]:
    require(
        path.is_file(), f"parameter file {path} does not exist: write one with --write-parameters {path.name}"
    )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"parameter file {path} is no TOML ({error}): correct it there") from None


def _known(known: bool, what: str, path: Any, choices: Any) -> None:
    require(known, f"unknown {what} in {path}: choose among {', '.join(choices)}")


def _choice(section: str, scheme: Any, choices: tuple[str, ...]) -> None:
    known = isinstance(scheme, str) and scheme in choices
    require(known, f"{section}.scheme = {scheme!r}: choose one of {', '.join(choices)}")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
