"""What one generated sample asks of the device, counted in the dimensionless units of the core."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import singledispatch
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from thermogen.computer import Computer
from thermogen.control import Control, LabelFields, ModeNetwork, ModeTable, PerClass, Segments
from thermogen.couplings import MOST_DENSE_UNITS, EdgeCouplings
from thermogen.generation import Samples
from thermogen.noising import Schedule

GAUSSIAN_FLOPS = 33
"""Floating-point operations of one Gaussian number: `langevin.noise`, its formula counted by hand. About 18
integer operations of the hash come on top and are not counted."""
UNIT_FLOPS = 12
"""Of one Euler–Maruyama step of a unit besides J x and the noise: 6 for the gradient, 6 for the step."""

_CONDITIONS = 20  # conditions over which the conductance is averaged
_ROWS = 512  # units whose couplings stand for those of a large computer


class Mean(NamedTuple):
    """A mean over samples and its standard error (None for one sample)."""

    value: float
    sem: float | None


@dataclass(frozen=True)
class Workload:
    """Counts and energies of one generated sample, from which the ledger makes joules.

    samples: how many it was measured on. heat_kT: Q. beyond_kT: work paid for switching, less that heat (see
    `switching_work`). read: units read out. couplers: couplings held. kept, rewritten: values that may stay
    from sample to sample, and values that are written for each. drive: t_f sum_i mu_i sum_j |J_ij| over all
    ordered pairs, dimensionless. t_f: duration in 1 / (mobility E0). flops: floating-point operations of
    simulating it.
    """

    samples: int
    heat_kT: Mean
    beyond_kT: Mean
    read: int
    couplers: int
    kept: float
    rewritten: float
    drive: float
    t_f: float
    flops: float


def workload_of(control: Control, samples: Samples, schedule: Schedule) -> Workload:
    """The workload of `samples` that `control` generated with `schedule` from its own uncoupled units.

    Cost: the dense couplings of one computer at a time (N^2 numbers; edges: their number).
    """
    beyond = switching_work(samples) - samples.heat_kT
    kept, rewritten = _written(control, schedule)
    return Workload(
        samples=len(samples),
        heat_kT=_mean(samples.heat_kT),
        beyond_kT=_mean(beyond),
        read=samples.units.visible,
        couplers=control.couplers(),
        kept=kept,
        rewritten=rewritten,
        drive=schedule.t_f * float(np.mean([_conductance(one) for one in _in_force(control, samples)])),
        t_f=schedule.t_f,
        flops=simulation_flops(control, schedule),
    )


def switching_work(samples: Samples) -> np.ndarray:
    """Work that the control source pays for each sample over the whole cycle, in kT, (n,).

        W_on  = V(x(0)) - V_0(x(0)),   W_off = V_0(x(t_f)) - V(x(t_f)),   W_between: between segments
        paid  = max(W_on, 0) + max(W_between, 0) + max(W_off, 0)

    The couplings are switched off after read-out and the units return to equilibrium of V_0, releasing
    V_0(x(t_f)) - V_0(x(0)) on average. So, by the first law, paid = Q + that heat + work gained: the heat of
    generation is part of what is paid, and is not added to it. Positive work is paid; work gained (V lowered
    by the switch) is not taken to be recovered. The sources of all couplers share one supply, so that it
    pays the net work of a switch. Samples must start from the uncoupled units of their own computer.
    """
    on = samples.work - samples.switching
    off = -(samples.end.bias + samples.end.coupling)
    paid = sum(np.maximum(np.asarray(part, float), 0) for part in (on, samples.switching, off))
    return np.asarray(paid) / samples.kT


def simulation_flops(control: Control, schedule: Schedule) -> float:
    """Floating-point operations of simulating one sample by Euler–Maruyama.

        F = steps [2 E + (12 + 33) N]

    E: entries of J multiplied in a step, as held: a block between two roles twice, 2 N r + r^2 through r
    modes; 12 a unit for the on-site polynomial and the step (`UNIT_FLOPS`), 33 for its noise
    (`GAUSSIAN_FLOPS`). A `ModeNetwork` adds 2 for each multiply–add of its network. Memory is not counted.
    """
    entries = float(np.mean([computer.couplings.entries() for computer in control.computers()]))
    entries += control.operations
    return schedule.steps * (2 * entries + (UNIT_FLOPS + GAUSSIAN_FLOPS) * control.units.total)


def _mean(values: np.ndarray) -> Mean:
    numbers = np.asarray(values, float)
    n = len(numbers)
    return Mean(float(numbers.mean()), None if n < 2 else float(numbers.std(ddof=1)) / n**0.5)


@singledispatch
def _written(control: Control, schedule: Schedule) -> tuple[float, float]:
    """Values (couplings and biases) that may stay from sample to sample, and those written for each."""
    return control.couplers() + control.units.total, 0


@_written.register
def _(control: PerClass, schedule: Schedule) -> tuple[float, float]:
    # Another class, another set: all is written anew.
    return 0, float(np.mean([sum(_written(each, schedule)) for each in control.controls]))


@_written.register
def _(control: Segments, schedule: Schedule) -> tuple[float, float]:
    values = control.couplers() + control.units.total
    return (values, 0) if control.segments == 1 else (0, control.segments * values)


@_written.register
def _(control: LabelFields, schedule: Schedule) -> tuple[float, float]:
    written = int((np.asarray(control.fields) != 0).any(0).sum())
    return control.couplers() + control.units.total, written


@_written.register(ModeTable)
@_written.register(ModeNetwork)
def _(control: ModeTable | ModeNetwork, schedule: Schedule) -> tuple[float, float]:
    units, modes = control.basis.shape
    sets = schedule.steps if control.continuous else control.segments
    return units * modes, sets * (modes * (modes + 1) // 2 + units)


def _in_force(control: Control, samples: Samples) -> Iterator[Computer]:
    """Computers in force while the samples were drawn, each standing for an equal share of them."""
    labels = np.asarray(control.labels if samples.labels is None else np.unique(samples.labels), int)
    for group in control.groups(labels, len(labels)):
        if samples.conditions is None:
            yield from group.control.computers()
        else:
            for condition in np.asarray(samples.conditions)[:_CONDITIONS]:
                yield from group.control.select(np.array([condition])).computers()


def _conductance(computer: Computer) -> float:
    """sum_i mu_i sum_j |J_ij| over ordered pairs: every coupling acts on either of its ends.

    Couplings in factors or modes are counted as if wired pair by pair; of more than 16,384 units, those of
    `_ROWS` evenly spaced units stand for all.
    """
    couplings, total = computer.couplings, computer.units.total
    mobility = np.broadcast_to(np.asarray(computer.mobility, float), (total,))
    if isinstance(couplings, EdgeCouplings):
        ends = mobility[np.asarray(couplings.pairs)].sum(1)
        return float(np.abs(np.asarray(couplings.values, float)) @ ends)
    if total > MOST_DENSE_UNITS:
        chosen = np.linspace(0, total - 1, _ROWS).round().astype(int)
        rows = [
            np.abs(np.asarray(couplings.apply(jax.nn.one_hot(few, total)), float)).sum(1)
            for few in np.array_split(chosen, 16)
        ]
        return float(mobility[chosen] @ np.concatenate(rows)) * total / _ROWS
    matrix = couplings.apply(jnp.eye(total)) if couplings.batch else couplings.matrix()
    return float(mobility @ np.abs(np.asarray(matrix, float)).sum(1))
