"""A stored model as a circuit: its computer, its platform and its deck."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import numpy as np

from thermogen.computer import Computer
from thermogen.errors import require
from thermogen.hardware import PhysicalComputer, PlatformRecord, Transient, netlist, to_physical, wiring
from thermogen.hardware.imperfect.defect_map import defect_map, with_defects
from thermogen.hardware.imperfect.imperfections import Imperfections
from thermogen.hardware.spice.circuit import start_states
from thermogen.noising import Schedule
from thermogen.seeds import stream
from thermogen.storage.model import Model

DENSE = 300
"""Most units that ngspice can simulate with couplings pair by pair (docs/hardware.md)."""


@dataclass(frozen=True)
class CircuitModel:
    """One computer of a model on one platform. schedule: times of this computer alone."""

    model: Model
    computer: Computer
    schedule: Schedule
    record: PlatformRecord
    physical: PhysicalComputer


def make_circuit_model(
    model: Model,
    record: PlatformRecord,
    *,
    changed: Mapping[str, Any] | None = None,
    label: int | None = None,
    segment: int | None = None,
    seed: int = 0,
) -> CircuitModel:
    """One computer of a model in the units of a platform.

    A model of several classes needs a label. A set of conditions then has the condition of sample 0 of
    `thermogen sample --label` with this seed. Couplings that change in time need a segment.
    Raises InputError for a missing or useless label or segment, and as `to_physical` and the record do.
    """
    control = model.computer
    if control.labels:
        require(
            label is not None,
            f"this model generates classes {', '.join(map(str, control.labels))}: name one with --label",
        )
        labels = np.full(1, label)
        control = control.groups(labels, 1)[0].control
        control = control.select(control.draw(stream(seed, "generation"), np.zeros(1, int), labels))
    else:
        require(
            label is None,
            f"label = {label}: one computer generates all classes; leave --label out",
        )
    schedule, count = model.schedule, control.segments
    if count > 1:
        require(
            segment is not None and 0 <= segment < count,
            f"segment = {segment}: couplings change in time, name one of 0 to {count - 1} with --segment",
        )
        duration = schedule.t_f / count
        schedule = replace(schedule, t_f=duration, readout=min(schedule.readout, duration / 2))
    else:
        require(segment is None, f"segment = {segment}: couplings do not change in time; leave --segment out")
    computer = _single(control.computers()[segment or 0])
    physical = to_physical(computer, record.platform(changed))
    record.check(physical)
    return CircuitModel(model, computer, schedule, record, physical)


def _single(computer: Any) -> Computer:
    """The computer of one sample without its batch axis."""
    if computer.bias.ndim > 1:
        computer = eqx.tree_at(lambda c: c.bias, computer, computer.bias[0])
    if computer.couplings.batch:
        computer = eqx.tree_at(lambda c: c.couplings.mixing, computer, computer.couplings.mixing[0])
    return computer


def deck_of(
    circuit: CircuitModel,
    count: int,
    transient: Transient,
    *,
    seed: int = 0,
    noisy: bool = True,
    meter: bool = False,
    raw: str = "states.raw",
) -> str:
    """The netlist of `count` samples, with the starts of `generate` for this seed."""
    require(count >= 1, f"count = {count}: give 1 sample or more")
    start = start_states(stream(seed, "generation"), circuit.computer, np.arange(count))
    seeds = np.arange(1, count + 1) if noisy else None
    title = f"thermogen: {len(circuit.physical.bias)} units on {circuit.record.name}"
    return netlist(circuit.physical, start, transient, seeds=seeds, meter=meter, raw=raw, title=title)


def transient_of(
    circuit: CircuitModel, noise_step: float = 0.05, reltol: float = 1e-3, points: int = 50
) -> Transient:
    """Times of the run of a circuit; a noise step that does not divide its duration is refused."""
    return Transient(t_f=circuit.schedule.t_f, noise_step=noise_step, points=points, reltol=reltol)


def check_size(circuit: CircuitModel, count: int) -> None:
    """InputError for too few samples to compare, and for a circuit that ngspice does not finish."""
    require(count >= 2, f"count = {count}: give 2 samples or more to compare")
    pairwise = len(wiring(circuit.physical.couplings).direct.values) > 0
    units = len(circuit.physical.bias)
    require(
        not pairwise or units <= DENSE,
        f"{units} units coupled pair by pair: ngspice is slow beyond {DENSE}; train with --compress 1e-3, "
        "which wires them through summing nodes",
    )


def model_with_defects(
    model: Model, dead: float, mismatch: float, seed: int
) -> tuple[dict[str, np.ndarray], Model]:
    """The defect map (arrays of `defect_map`) of a device from a seed, and the model on it, not retrained.

    dead: share of couplers; mismatch: s in J2, J4, mobility times exp(s z), all three of every unit.
    Raises InputError for shares that no device can have, and for a model of more than one set of couplings.
    """
    imperfections = Imperfections(
        dead=dead, mismatch_J2=mismatch, mismatch_J4=mismatch, mismatch_mobility=mismatch
    )
    defects = defect_map(stream(seed, "device"), model.computer, imperfections)
    assert isinstance(model.computer, Computer)  # or there is no map
    return defects, replace(model, computer=with_defects(model.computer, defects), figures={})
