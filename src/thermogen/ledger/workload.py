"""Counts and energies of one generated sample, in the dimensionless units of the core."""

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
"""Floating-point operations of one Gaussian number, counted in the formula of `langevin.noise`. About 18
integer operations of the hash are not counted."""
UNIT_FLOPS = 12
"""Of one Euler–Maruyama step of a unit besides J x and the noise: 6 for the gradient, 6 for the step."""

_CONDITIONS = 20  # conditions over which the conductance is averaged
_ROWS = 512  # units whose couplings represent those of a large computer


class Mean(NamedTuple):
    """A mean over samples and its standard error (None for one sample)."""

    value: float
    sem: float | None


@dataclass(frozen=True)
class Workload:
    """Counts and energies of one generated sample, from which the ledger makes joules.

    samples: number of samples of the measurement
    heat_kT: Q
    beyond_kT: work paid for switching, less that heat (see `switching_work`)
    read, couplers: units that are read, and couplers
    kept, rewritten: values that may stay from sample to sample, and values written for each
    drive: t_f sum_i mu_i sum_j |J_ij| over all ordered pairs, dimensionless
    t_f: duration in 1 / (mobility E0)
    flops: floating-point operations of its simulation
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
    kept, rewritten = _written(control, schedule)
    return Workload(
        samples=len(samples),
        heat_kT=_mean(samples.heat_kT),
        beyond_kT=_mean(switching_work(samples) - samples.heat_kT),
        read=samples.units.visible,
        couplers=control.couplers(),
        kept=kept,
        rewritten=rewritten,
        drive=schedule.t_f
        * float(np.mean([_conductance(computer) for computer in _in_force(control, samples)])),
        t_f=schedule.t_f,
        flops=simulation_flops(control, schedule),
    )


def switching_work(samples: Samples) -> np.ndarray:
    """Work that the supply of the control pays for each sample over the whole cycle, in kT, (n,).

        W_on  = V(x(0)) - V_0(x(0)),   W_off = V_0(x(t_f)) - V(x(t_f)),   W_between: between segments
        paid  = max(W_on, 0) + max(W_between, 0) + max(W_off, 0)

    The couplings are switched off after read-out and the units return to equilibrium of V_0, releasing
    V_0(x(t_f)) - V_0(x(0)) on average. So, by the first law, paid = Q + that heat + work gained: the paid
    work includes the heat of generation. Positive work is paid; work gained (V lowered by the switch) is not
    recovered. One supply serves all couplers, so that it pays the net work of a switch. Samples must start
    from the uncoupled units of their own computer.
    """
    on = samples.work - samples.switching
    off = -(samples.end.bias + samples.end.coupling)
    paid = sum(np.maximum(np.asarray(work, float), 0) for work in (on, samples.switching, off))
    return np.asarray(paid) / samples.kT


def simulation_flops(control: Control, schedule: Schedule) -> float:
    """Floating-point operations of simulating one sample by Euler–Maruyama.

        F = steps [2 E + (12 + 33) N]

    E: entries of J multiplied in a step, as stored: a block between two roles twice, 2 N r + r^2 through r
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
    # Another class needs another set of values: all are rewritten.
    return 0, float(np.mean([sum(_written(one_class, schedule)) for one_class in control.controls]))


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
    """Computers in force during the generation of the samples, each for an equal share of them."""
    labels = np.asarray(control.labels if samples.labels is None else np.unique(samples.labels), int)
    for group in control.groups(labels, len(labels)):
        if samples.conditions is None:
            yield from group.control.computers()
        else:
            for condition in np.asarray(samples.conditions)[:_CONDITIONS]:
                yield from group.control.select(np.array([condition])).computers()


def _conductance(computer: Computer) -> float:
    """sum_i mu_i sum_j |J_ij| over ordered pairs: every coupling acts on either of its ends.

    Couplings in factors or modes are counted as if wired pair by pair. Of more than 16,384 units, `_ROWS`
    evenly spaced ones represent all.
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
