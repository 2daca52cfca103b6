"""Joules of one sample, line by line, and how the ratio to the digital side falls as more is counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from thermogen.ledger.meter import Reading
from thermogen.ledger.parameters import WRITING, DigitalDenoiser, Environment, Parameters
from thermogen.ledger.workload import Workload

EVIDENCE = ("modelled", "simulated", "measured", "exact")
"""Classes of evidence, the weakest first: a count times a price; simulated trajectories; a counter of this
machine; a theorem."""
THERMODYNAMIC, DIGITAL = "thermodynamic", "digital"


@dataclass(frozen=True)
class Line:
    """Energy of one sample for one purpose, its evidence, and its source.

    joules, kT: None without a measurement (`source` then says why). sem_kT: standard error, if simulated.
    counted: whether it belongs to the sum of its side; alternatives and baselines do not.
    """

    name: str
    side: str
    joules: float | None
    kT: float | None
    evidence: str
    source: str
    sem_kT: float | None = None
    counted: bool = True


@dataclass(frozen=True)
class Ledger:
    """All lines, and `ratios`: digital denoiser over thermodynamic energy, by what is included so far.

    A ratio is None if no energy is spent (an untrained computer releases no heat on average). `weakest`:
    the weakest evidence among the thermodynamic lines of each ratio; the denoiser itself is modelled.
    """

    lines: tuple[Line, ...]
    ratios: dict[str, float | None]
    weakest: dict[str, str]

    def of(self, side: str) -> tuple[Line, ...]:
        """The lines of one side."""
        return tuple(line for line in self.lines if line.side == side)


def make_ledger(workload: Workload, parameters: Parameters, measured: Reading | None = None) -> Ledger:
    """The ledger of a workload at given prices.

    Thermodynamic, in this order: heat Q; work of switching beyond it; read-out, visible x FoM 2^bits;
    writing, (kept / samples_per_write + rewritten) x joules a value; holding, C V_DD t_f sum |J| mu / (gm/Id)
    with transconductors, nothing with resistors; standby, couplers x leakage x V_DD x t_f / (rate duty).
    Digital: the paper's denoiser, the reference of all ratios; the simulation of this computer by its
    floating-point operations; the same as `measured` on this machine. Other ways of writing are listed,
    uncounted.
    """
    lines = (*_thermodynamic(workload, parameters), *_digital(workload, parameters, measured))
    ratios: dict[str, float | None] = {}
    weakest: dict[str, str] = {}
    spent, worst = 0.0, EVIDENCE[-1]
    labels = (
        "heat alone",
        "and switching",
        "and read-out",
        "and writing",
        "and holding",
        "and standby: whole device",
    )
    counted = [line for line in lines if line.counted and line.side == THERMODYNAMIC]
    for label, line in zip(labels, counted, strict=True):
        spent += line.joules or 0.0
        worst = min(worst, line.evidence, key=EVIDENCE.index)
        ratios[label], weakest[label] = parameters.denoiser.joules / spent if spent > 0 else None, worst
    return Ledger(lines, ratios, weakest)


def _thermodynamic(workload: Workload, parameters: Parameters) -> list[Line]:
    """Heat, switching, read-out, writing with its alternatives, holding and standby."""
    kT, readout, writing = parameters.environment.kT, parameters.readout, parameters.writing
    holding, standby = parameters.holding, parameters.standby
    values = workload.kept / writing.samples_per_write + workload.rewritten
    shared = "" if writing.samples_per_write == 1 else f", shared by {writing.samples_per_write} samples"
    seconds = workload.t_f / (standby.rate_per_s * standby.duty)
    active = holding.capacitance_F * holding.supply_V * workload.drive / holding.gm_over_Id_per_V
    sources = {
        "cv2": f"{writing.bits} bits a value, C V^2 each",
        "landauer": f"bound for erasing {writing.bits} bits a value: kT ln 2 each",
        "flash": "an analogue cell a value",
        "dram": f"{writing.bits} bits a value, fetched and C V^2",
    }

    def line(name: str, joules: float, source: str, evidence: str = "modelled", **more: Any) -> Line:
        return Line(name, THERMODYNAMIC, joules, joules / kT, evidence, source, **more)

    written = [
        line(
            f"writing {values:,.0f} values, {scheme}",
            values * writing.joules_per_value(scheme, kT),
            sources[scheme] + shared,
            "exact" if scheme == "landauer" else "modelled",
            counted=scheme == writing.scheme,
        )
        for scheme in sorted(WRITING, key=lambda scheme: scheme != writing.scheme)
    ]
    return [
        line(
            "heat of generation",
            workload.heat_kT.value * kT,
            f"{workload.samples} simulated samples",
            "simulated",
            sem_kT=workload.heat_kT.sem,
        ),
        line(
            "work of switching, beyond that heat",
            # Switches that pay less than the heat leave the rest to the bath: nothing is paid beyond it.
            max(workload.beyond_kT.value, 0.0) * kT,
            "on, between segments and off; work gained is not recovered",
            "simulated",
            sem_kT=workload.beyond_kT.sem,
        ),
        line(
            f"read-out of {workload.read} units, {readout.bits} bits",
            workload.read * readout.joules_per_unit,
            f"Walden: {readout.joules_per_conversion_step:.2g} J x 2^bits a unit",
        ),
        *written,
        line(
            f"holding {workload.couplers:,} couplings, {holding.scheme}",
            active if holding.scheme == "active" else 0.0,
            "bias currents of transconductors: C V_DD t_f sum mu |J| / (gm/Id)"
            if holding.scheme == "active"
            else "resistors need no supply: their losses are the heat",
        ),
        line(
            "standby of the couplings",
            workload.couplers * standby.leakage_A * holding.supply_V * seconds,
            f"leakage over {seconds:.2g} s a sample",
        ),
    ]


def _digital(workload: Workload, parameters: Parameters, measured: Reading | None) -> list[Line]:
    """The paper's denoiser, and the simulation of the same computer by count and by counter."""
    denoiser, price, name = (
        parameters.denoiser,
        parameters.simulation.joules_per_flop,
        "simulating this computer",
    )

    def line(name: str, joules: float | None, source: str, evidence: str = "modelled", **more: Any) -> Line:
        kT = None if joules is None else joules / parameters.environment.kT
        return Line(name, DIGITAL, joules, kT, evidence, source, **more)

    lines = [
        line(
            f"digital denoiser {'-'.join(map(str, denoiser.widths))}, {denoiser.steps} steps",
            denoiser.joules,
            f"{denoiser.macs_per_step * denoiser.steps:,} multiply–accumulates at "
            f"{denoiser.joules_per_mac:.2g} J",
        ),
        line(
            name, workload.flops * price, f"{workload.flops:.3g} operations at {price:.2g} J", counted=False
        ),
    ]
    if measured is not None:
        joules, source = None, measured.reason
        if measured.joules is not None:
            joules = measured.joules / workload.samples
            source = (
                f"{', '.join(measured.counters)}, {measured.seconds:.1f} s for {workload.samples} samples"
            )
        lines.append(line(f"{name}, on this machine", joules, source, "measured", counted=False))
    return lines


def joules_of_kT(kT: float, environment: Environment | None = None) -> float:
    """Joules of an energy in kT, at the temperature of `environment` (None: 300 K)."""
    return kT * (environment or Environment(300.0)).kT


def published_ratio(heat_kT: float) -> float:
    """The paper's comparison at 300 K: joules of its denoiser over those of a heat in kT."""
    return DigitalDenoiser().joules / joules_of_kT(heat_kT)
