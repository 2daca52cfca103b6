"""Figures of a computer on a platform, and its settings as a file for other tools."""

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
    physical: PhysicalComputer, schedule: Schedule, heat_kT: float | None = None, active: Active | None = None
) -> dict[str, Quantity]:
    """Scales, times, noise, largest drives and couplers by name; their power and energy.

    The largest drive of a coupling is its G times the largest expected variable; summing nodes never swing
    wider than units. With the mean heat of a sample in kT also joules and watts. With `active` couplers:

        energy = supply t_f sum G / (g_m / I_D),    temperature = T (1 + noise <sum_j |G_ij|> / linear)

    The energy comes from the supply, independent of the state. The temperature is the mean over units.
    """
    platform, unit = physical.platform, registry().Unit
    variable, force = unit(platform.variable), unit(platform.force)
    second, none = unit("second"), unit("dimensionless")
    duration = schedule.t_f * physical.time_unit
    wired = wiring(physical.couplings)
    received = wired.received()
    largest = max(np.abs(values).max(initial=0) for values in (wired.direct.values, wired.drive))
    reach = largest_variable(physical)
    quantities = {
        "scale": (physical.scale, variable),
        "thermal width": (physical.scale * (physical.kT / (2 * physical.J2)) ** 0.5, variable),
        "relaxation time": (platform.relaxation, second),
        "time of a sample": (duration, second),
        "noise density": (platform.noise_density, force / unit("hertz") ** 0.5),
        "coupling of J = 1": (physical.conductance, force / variable),
        "largest coupling": (largest, force / variable),
        "cubic": (physical.cubic, force / variable**3),
        "largest bias": (float(np.abs(physical.bias).max()), force),
        "largest variable": (reach, variable),
        "largest drive of a coupling": (largest * reach, force),
        "couplers as wired": (float(physical.couplings.count()), none),
        "couplers pair by pair": (float(physical.couplings.count_full()), none),
        "summing nodes": (float(wired.nodes), none),
    }
    if heat_kT is not None:
        joules = heat_kT * platform.thermal_energy
        quantities["heat of a sample"] = (joules, unit("joule"))
        quantities["power"] = (joules / duration, unit("watt"))
    if active is not None:
        into_nodes = np.abs(wired.sense).sum()
        into_nodes += 0 if wired.mixing is None else np.abs(wired.mixing).sum()
        power = active.supply * (received.sum() + into_nodes * physical.conductance) / active.efficiency
        quantities["energy of the couplers' supply"] = (power * duration, unit("joule"))
        temperature = platform.temperature * (1 + active.noise * received.mean() / physical.linear)
        quantities["temperature with the couplers' noise"] = (temperature, unit("kelvin"))
    return {name: Quantity(float(value), f"{own:~}") for name, (value, own) in quantities.items()}


def parameters(physical: PhysicalComputer, schedule: Schedule) -> dict[str, Any]:
    """All settings of a device in SI units, as plain JSON; its fields: docs/hardware.md."""
    wired = wiring(physical.couplings)
    platform = physical.platform
    second = physical.time_unit
    couplings: dict[str, Any] = {
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
        "couplings": couplings,
        "protocol": {"duration": schedule.t_f * second, "readout": schedule.readout * second},
        "dimensionless": {
            "J2": physical.J2,
            "J4": physical.J4,
            "kT": physical.kT,
            "mobility": physical.mobility,
            "time_unit": second,
            "energy": physical.energy,
        },
    }
