"""What an engineer asks first of a computer on a platform, and the same as a file for other tools."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from thermogen.hardware.physical import PhysicalComputer, largest_variable
from thermogen.hardware.platforms import registry
from thermogen.hardware.records import Active
from thermogen.hardware.wiring import wiring
from thermogen.noising import Schedule

FORMAT = 1


class Quantity(NamedTuple):
    """A number with its unit."""

    value: float
    unit: str


def figures(
    physical: PhysicalComputer,
    schedule: Schedule,
    heat_kT: float | None = None,
    active: Active | None = None,
) -> dict[str, Quantity]:
    """Scales, times, noise, largest drives, couplers by name; what they cost, in watts and joules.

    The largest drive of a coupling is its G times the largest variable expected; summing nodes never swing
    wider than units. With the mean heat of a sample in kT also joules and watts. With `active` couplers:

        energy = supply t_f sum G / (g_m / I_D),    temperature = T (1 + noise <sum_j |G_ij|> / linear)

    the first drawn from the supply whatever the state, the second the mean over units of what they feel.
    """
    units, platform = registry(), physical.platform
    variable, force = units.Unit(platform.variable), units.Unit(platform.force)
    second, none = units.Unit("second"), units.Unit("dimensionless")
    duration = schedule.t_f * physical.time_unit
    wired = wiring(physical.couplings)
    received = wired.received()
    sizes = [np.abs(one).max() for one in (wired.direct.values, wired.drive) if one.size]
    largest = float(max(sizes, default=0))
    reach = largest_variable(physical)
    found = {
        "scale": (physical.scale, variable),
        "thermal width": (physical.scale * (physical.kT / (2 * physical.J2)) ** 0.5, variable),
        "relaxation time": (platform.relaxation, second),
        "time of a sample": (duration, second),
        "noise density": (platform.noise_density, force / units.Unit("hertz") ** 0.5),
        "coupling of J = 1": (physical.conductance, force / variable),
        "largest coupling": (largest, force / variable),
        "cubic": (physical.cubic, force / variable**3),
        "largest bias": (float(np.abs(physical.bias).max()), force),
        "largest variable": (reach, variable),
        "largest drive of a coupling": (largest * reach, force),
        "couplers as wired": (float(physical.couplings.count()), none),
        "couplers pair by pair": (float(pairs(physical)), none),
        "summing nodes": (float(wired.nodes), none),
    }
    if heat_kT is not None:
        joules = heat_kT * platform.thermal_energy
        found["heat of a sample"] = (joules, units.Unit("joule"))
        found["power"] = (joules / duration, units.Unit("watt"))
    if active is not None:
        drawn = active.supply * (received.sum() + _of_nodes(wired) * physical.conductance) / active.efficiency
        found["energy of the couplers' supply"] = (drawn * duration, units.Unit("joule"))
        warmer = 1 + active.noise * float(received.mean()) / physical.linear
        found["temperature with the couplers' noise"] = (warmer * platform.temperature, units.Unit("kelvin"))
    return {name: Quantity(float(value), f"{unit:~}") for name, (value, unit) in found.items()}


def pairs(physical: PhysicalComputer) -> int:
    """Couplers that the same couplings need without summing nodes."""
    couplings = physical.couplings
    full = getattr(couplings, "count_full", couplings.count)
    return int(full())


def _of_nodes(wired: Any) -> float:
    """Sum of weights into summing nodes."""
    weights = np.abs(wired.sense).sum()
    return float(weights + (0 if wired.mixing is None else np.abs(wired.mixing).sum()))


def parameters(physical: PhysicalComputer, schedule: Schedule) -> dict[str, Any]:
    """Everything a device is set to, in SI units, as plain JSON; its fields: docs/hardware.md."""
    wired = wiring(physical.couplings)
    platform = physical.platform
    second = physical.time_unit
    held: dict[str, Any] = {
        "pairs": {
            "driven": wired.direct.driven.tolist(),
            "sensed": wired.direct.sensed.tolist(),
            "value": wired.direct.values.tolist(),
        },
        "nodes": {
            "count": wired.sense.shape[1],
            "sense": wired.sense.T.tolist(),
            "mixing": None if wired.mixing is None else wired.mixing.tolist(),
            "drive": wired.drive.T.tolist(),
        },
        "self": (-wired.diagonal).tolist(),
    }
    return {
        "format": FORMAT,
        "platform": {
            "name": platform.name,
            "temperature": platform.temperature,
            "parts": {name: {"value": v, "unit": unit} for name, (v, unit) in platform.parts.items()},
        },
        "units": asdict(physical.couplings.units),
        "variable": {"unit": platform.variable, "scale": physical.scale},
        "drive": {"unit": platform.force, "noise_density": platform.noise_density},
        "storage": platform.storage,
        "linear": physical.linear,
        "cubic": physical.cubic,
        "bias": physical.bias.tolist(),
        "couplings": held,
        "protocol": {
            "duration": schedule.t_f * second,
            "readout": schedule.readout * second,
        },
        "dimensionless": {
            "J2": physical.J2,
            "J4": physical.J4,
            "kT": physical.kT,
            "mobility": physical.mobility,
            "time_unit": second,
            "energy": physical.energy,
        },
    }
