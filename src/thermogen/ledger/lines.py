"""Joules of one sample, line by line, and how the ratio to the digital side falls as more is counted."""

from __future__ import annotations

from dataclasses import dataclass

from thermogen.ledger.meter import Reading
from thermogen.ledger.parameters import WRITING, DigitalDenoiser, Environment, Parameters
from thermogen.ledger.workload import Workload

EVIDENCE = ("modelled", "simulated", "measured", "exact")
"""Classes of evidence, the weakest first: a count times a price; simulated trajectories; a counter of this
machine; a theorem."""
THERMODYNAMIC, DIGITAL = "thermodynamic", "digital"


@dataclass(frozen=True)
class Line:
    """Energy of one sample for one purpose, what kind of evidence it rests on, and where it comes from.

    joules, kT: None where nothing could be measured (`source` then says why). sem_kT: standard error, if
    simulated. counted: whether it belongs to the sum of its side; alternatives and rivals do not.
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
    """Every line, and `ratios`: digital denoiser over thermodynamic energy, by what is included so far.

    A ratio is None where no energy is spent (an untrained computer releases no heat on average). `weakest`:
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

    Thermodynamic, summed in this order: heat Q; work of switching beyond it; read-out, visible x FoM 2^bits;
    writing, (kept / samples_per_write + rewritten) x joules a value; holding, C V_DD t_f sum |J| mu / (gm/Id)
    with transconductors, nothing with resistors; standby, couplers x leakage x V_DD x t_f / (rate duty).
    Digital: the paper's denoiser, against which all ratios are taken; the simulation of this computer by its
    floating-point operations; the same as `measured` on this machine. Other ways of writing are listed,
    uncounted.
    """
    kT = parameters.environment.kT

    def line(name: str, joules: float, evidence: str, source: str, **more) -> Line:
        return Line(name, more.pop("side", THERMODYNAMIC), joules, joules / kT, evidence, source, **more)

    thermodynamic = (
        line(
            "heat of generation",
            workload.heat_kT.value * kT,
            "simulated",
            f"{workload.samples} simulated samples",
            sem_kT=workload.heat_kT.sem,
        ),
        line(
            "work of switching, beyond that heat",
            # Switches that pay less than the heat leave the rest to the bath: nothing is paid beyond it.
            max(workload.beyond_kT.value, 0.0) * kT,
            "simulated",
            "on, between segments and off; work gained is not recovered",
            sem_kT=workload.beyond_kT.sem,
        ),
        *_device(workload, parameters, line),
    )
    ratios: dict[str, float | None] = {}
    weakest: dict[str, str] = {}
    spent, rival, worst = 0.0, parameters.denoiser.joules, EVIDENCE[-1]
    labels = (
        "heat alone",
        "and switching",
        "and read-out",
        "and writing",
        "and holding",
        "and standby: whole device",
    )
    counted = [one for one in thermodynamic if one.counted]
    for label, part in zip(labels, counted, strict=True):
        spent += part.joules or 0.0
        ratios[label] = rival / spent if spent > 0 else None
        worst = min(worst, part.evidence, key=EVIDENCE.index)
        weakest[label] = worst
    return Ledger((*thermodynamic, *_digital(workload, parameters, measured, line)), ratios, weakest)


def _device(workload: Workload, parameters: Parameters, line) -> list[Line]:
    """Read-out, writing with its alternatives, holding and standby."""
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
    written = [
        line(
            f"writing {values:,.0f} values, {scheme}",
            values * writing.joules_per_value(scheme, kT),
            "exact" if scheme == "landauer" else "modelled",
            sources[scheme] + shared,
            counted=scheme == writing.scheme,
        )
        for scheme in sorted(WRITING, key=lambda one: one != writing.scheme)
    ]
    return [
        line(
            f"read-out of {workload.read} units, {readout.bits} bits",
            workload.read * readout.joules_per_unit,
            "modelled",
            f"Walden: {readout.joules_per_conversion_step:.2g} J x 2^bits a unit",
        ),
        *written,
        line(
            f"holding {workload.couplers:,} couplings, {holding.scheme}",
            active if holding.scheme == "active" else 0.0,
            "modelled",
            "bias currents of transconductors: C V_DD t_f sum mu |J| / (gm/Id)"
            if holding.scheme == "active"
            else "resistors need no supply: their losses are the heat",
        ),
        line(
            "standby of the couplings",
            workload.couplers * standby.leakage_A * holding.supply_V * seconds,
            "modelled",
            f"leakage over {seconds:.2g} s a sample",
        ),
    ]


def _digital(workload: Workload, parameters: Parameters, measured: Reading | None, line) -> list[Line]:
    """The paper's denoiser, and the simulation of the same computer by count and by counter."""
    rival = parameters.denoiser
    lines = [
        line(
            f"digital denoiser {'-'.join(map(str, rival.widths))}, {rival.steps} steps",
            rival.joules,
            "modelled",
            f"{rival.macs_per_step * rival.steps:,} multiply–accumulates at {rival.joules_per_mac:.2g} J",
            side=DIGITAL,
        ),
        line(
            "simulating this computer",
            workload.flops * parameters.simulation.joules_per_flop,
            "modelled",
            f"{workload.flops:.3g} operations at {parameters.simulation.joules_per_flop:.2g} J",
            side=DIGITAL,
            counted=False,
        ),
    ]
    if measured is not None:
        name = "simulating this computer, on this machine"
        if measured.joules is None:
            lines.append(Line(name, DIGITAL, None, None, "measured", measured.reason, counted=False))
        else:
            each = measured.joules / workload.samples
            source = (
                f"{', '.join(measured.counters)}, {measured.seconds:.1f} s for {workload.samples} samples"
            )
            lines.append(line(name, each, "measured", source, side=DIGITAL, counted=False))
    return lines


def joules_of_kT(kT: float, environment: Environment | None = None) -> float:
    """Joules of an energy in kT, at the temperature of `environment` (None: 300 K)."""
    return kT * (environment or Environment(300.0)).kT


def published_ratio(heat_kT: float) -> float:
    """The paper's comparison at 300 K: joules of its denoiser over those of a heat in kT."""
    return DigitalDenoiser().joules / joules_of_kT(heat_kT)
