"""What a page is told of a simulation: the model, a frame, what is read at t_f."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

from thermogen.studio.shown_model import ShownModel, levels
from thermogen.studio.simulation import Simulation

_STRONGEST = 6  # neighbours named


def model(loaded: ShownModel, names: list[str]) -> dict[str, Any]:
    """What does not change while a model is shown; `names` of all that can be chosen."""
    known, units = loaded.model, loaded.model.computer.units
    return {
        "name": loaded.name,
        "models": names,
        "labels": list(loaded.labels),
        "units": {"visible": units.visible, "hidden": units.hidden, "output": units.output},
        "image_shape": list(known.image_shape),
        "t_f": known.schedule.t_f,
        "kT": float(known.computer.kT),
        "dt": known.schedule.dt,
        "scale": loaded.scale,
        "trained_on": str(known.data.get("source", "unknown")),
    }


def frame(simulation: Simulation, number: int, sample: int, unit: int | None) -> bytes:
    """A header of JSON behind its length (four bytes, low first), then a byte a unit for every sample."""
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
    words = json.dumps(header).encode()
    return struct.pack("<I", len(words)) + words + simulation.picture().tobytes()


def _look(simulation: Simulation, sample: int, unit: int) -> dict[str, Any]:
    """The field of a unit's couplings over all units, and who pushes it most now."""
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
    """What was asked of each sample, what the classifier sees, and how often both agree; None: not known."""
    asked, seen = simulation.labels, simulation.verdict
    known = asked is not None and seen is not None
    return {
        "seen": _listed(seen),
        "asked": _listed(asked),
        "right": int((asked == seen).sum()) if known else None,
    }


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.8g}") for value in values]


def _listed(values: np.ndarray | None) -> list[int] | None:
    return None if values is None else [int(value) for value in values]
