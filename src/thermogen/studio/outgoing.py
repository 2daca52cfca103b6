"""Messages to a page: the model, a frame, the read-out at t_f."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from thermogen.studio.shown_model import ShownModel, levels
from thermogen.studio.simulation import Simulation

_STRONGEST = 6  # neighbours listed


def model(shown: ShownModel, names: list[str]) -> dict[str, Any]:
    """The constant figures of a shown model; `names` of all models to choose from."""
    stored, units = shown.model, shown.model.computer.units
    return {
        "name": shown.name,
        "models": names,
        "labels": list(shown.labels),
        "units": {"visible": units.visible, "hidden": units.hidden, "output": units.output},
        "image_shape": list(stored.image_shape),
        "t_f": stored.schedule.t_f,
        "kT": float(stored.computer.kT),
        "dt": stored.schedule.dt,
        "scale": shown.scale,
        "trained_on": str(stored.data.get("source", "unknown")),
    }


def frame(simulation: Simulation, number: int, sample: int, unit: int | None) -> bytes:
    """Length of a JSON header (four bytes, low first), the header, one byte for each unit and sample."""
    ledger = simulation.ledger()
    header = {
        "frame": number,
        "step": simulation.step,
        "t": simulation.t,
        "count": simulation.count,
        "change": _rounded(ledger.change),
        "heat": _rounded(ledger.heat),
        "work": _rounded(ledger.work),
        "unit": None if unit is None else _look(simulation, sample, unit),
    }
    text = json.dumps(header).encode()
    return struct.pack("<I", len(text)) + text + simulation.picture().tobytes()


def _look(simulation: Simulation, sample: int, unit: int) -> dict[str, Any]:
    """The couplings of a unit to all units, the forces on it, and the neighbours with the largest forces."""
    row, forces = simulation.look(sample, unit)
    pushes = -row * simulation.x[sample]
    scale = float(np.abs(row).max()) or 1.0
    strongest = np.argsort(-np.abs(pushes))[:_STRONGEST]
    return {
        "number": unit,
        "forces": {name: float(f"{value:.4g}") for name, value in forces.items()},
        "field": levels(row, scale).tolist(),
        "scale": scale,
        "strongest": [
            {"unit": int(i), "J": float(f"{row[i]:.3g}"), "push": float(f"{pushes[i]:.3g}")}
            for i in strongest
            if row[i]
        ],
    }


def verdict(simulation: Simulation) -> dict[str, Any]:
    """Requested classes, classes by the classifier, and the number of agreements; None: not known."""
    requested, seen = simulation.labels, simulation.verdict
    right = None if requested is None or seen is None else int((requested == seen).sum())
    return {"seen": _listed(seen), "requested": _listed(requested), "right": right}


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.8g}") for value in values]


def _listed(values: np.ndarray | None) -> list[int] | None:
    return None if values is None else [int(value) for value in values]
