"""Platforms: a unit as one storage element and one dissipative element at a temperature.

Every platform has the same physics. A variable q stores the energy K q^2 / 2 and relaxes
through a mobility M, dq/dt = -M dE/dq, with the thermal noise of the dissipative element (Johnson, Nyquist):

    electrical        q = V, voltage        K = C        M = 1 / (R C^2)    drive: current (dE/dV) / (R C)
    superconducting   q = Phi, flux         K = 1 / L    M = R              drive: current dE/dPhi
    mechanical        q = X, displacement   K = k        M = 1 / gamma      drive: force dE/dX

Flux is that of a shunted loop in the overdamped limit, a phase times Phi_0 / 2 pi.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

from thermogen.errors import InputError, require
from thermogen.ledger import BOLTZMANN


@cache
def registry() -> Any:
    """The registry of units of pint, from the extra `hardware`."""
    try:
        import pint
    except ImportError as error:
        raise InputError("units need pint: pip install 'thermogen[hardware]'") from error
    return pint.UnitRegistry()


def si(name: str, value: Any, unit: str) -> float:
    """A quantity, or its text such as '1 fF', as a positive number of `unit`.

    Raises InputError, one line with the name, for another dimension, no unit, or a value not positive.
    """
    units = registry()
    from pint.errors import PintError

    try:
        quantity = units.Quantity(value) if isinstance(value, str | int | float) else value
        number = float(quantity.to(unit).magnitude)
    except (PintError, AttributeError, ValueError) as error:
        raise InputError(f"{name} = {value}: give a value in {unit}, e.g. '1 {unit}'") from error
    require(math.isfinite(number) and number > 0, f"{name} = {value}: give a positive value in {unit}")
    return number


@dataclass(frozen=True)
class Platform:
    """Storage and dissipation of a unit in SI units, and the units of its variable and its drive.

    stiffness, mobility: K and M
    drive: factor from dE/dq to the drive (current or force)
    temperature: kelvin
    variable, force: pint units of q and of the drive
    parts: its elements by name, with unit
    one_way: whether a coupler may act in one direction only, as a transconductor does
    """

    name: str
    stiffness: float
    mobility: float
    drive: float
    temperature: float
    variable: str
    force: str
    parts: dict[str, tuple[float, str]]
    one_way: bool = False

    @property
    def thermal_energy(self) -> float:
        """k_B T, J."""
        return BOLTZMANN * self.temperature

    @property
    def relaxation(self) -> float:
        """1 / (M K), s: RC, L/R or gamma/k."""
        return 1 / (self.mobility * self.stiffness)

    @property
    def storage(self) -> float:
        """drive / (dq/dt): the capacitance C, or 1 / R of a shunt, or friction."""
        return self.drive / self.mobility

    @property
    def noise_density(self) -> float:
        """One-sided noise of the drive per sqrt(Hz), sqrt(4 k_B T / M) x drive; of a leak, Johnson's."""
        return math.sqrt(4 * self.thermal_energy / self.mobility) * self.drive


def electrical(capacitance: Any, resistance: Any, temperature: Any = "300 K") -> Platform:
    """A voltage on a capacitor with a leak: '1 fF', '1 Mohm'. The leak's Johnson noise is the thermal noise.

    Raises InputError for values of another dimension or not positive.
    """
    C, R = si("capacitance", capacitance, "farad"), si("resistance", resistance, "ohm")
    parts = {"capacitance": (C, "farad"), "resistance": (R, "ohm")}
    T = si("temperature", temperature, "kelvin")
    return Platform("electrical", C, 1 / (R * C**2), 1 / (R * C), T, "volt", "ampere", parts, one_way=True)


def superconducting(inductance: Any, resistance: Any, temperature: Any = "4 K") -> Platform:
    """The flux (phase times Phi_0 / 2 pi) of a loop with a shunt: '100 pH', '1 ohm'.

    Raises InputError as `electrical`.
    """
    L, R = si("inductance", inductance, "henry"), si("resistance", resistance, "ohm")
    parts = {"inductance": (L, "henry"), "resistance": (R, "ohm")}
    T = si("temperature", temperature, "kelvin")
    return Platform("superconducting", 1 / L, R, 1.0, T, "weber", "ampere", parts)


def mechanical(spring: Any, friction: Any, temperature: Any = "300 K") -> Platform:
    """An overdamped oscillator: spring constant '1 mN/m', friction '1e-8 kg/s'.

    Raises InputError as `electrical`.
    """
    k = si("spring", spring, "newton / meter")
    gamma = si("friction", friction, "kilogram / second")
    parts = {"spring": (k, "newton / meter"), "friction": (gamma, "kilogram / second")}
    T = si("temperature", temperature, "kelvin")
    return Platform("mechanical", k, 1 / gamma, 1.0, T, "meter", "newton", parts)
