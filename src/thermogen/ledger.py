"""Joules and kT: the heat of a generated sample beside the digital denoiser it is compared with.

Every constant is a field with its source, so that another assumption is one argument away.
"""

from __future__ import annotations

from dataclasses import dataclass

from thermogen.errors import require

BOLTZMANN = 1.380649e-23
"""Boltzmann's constant, J/K (exact, SI 2019)."""


@dataclass(frozen=True)
class DigitalDenoiser:
    """The multilayer perceptron that the paper counts: fully connected layers run `steps` times.

    macs_per_step: products of neighbouring widths. Source of the widths, the 10 steps and 1 pJ a
    multiply–accumulate: Whitelam, PRL 136, 037101 (2026).
    """

    widths: tuple[int, ...] = (784, 128, 128, 784)
    steps: int = 10
    joules_per_mac: float = 1e-12

    @property
    def macs_per_step(self) -> int:
        """Multiply–accumulates of one pass."""
        return sum(a * b for a, b in zip(self.widths, self.widths[1:], strict=False))

    @property
    def joules(self) -> float:
        """Energy of one sample, J."""
        return self.macs_per_step * self.steps * self.joules_per_mac


@dataclass(frozen=True)
class Device:
    """Example costs around the bare heat, for scale: what a comparison of heats alone leaves out.

    capacitance and write_volts: rewriting one stored coupling costs C V^2. joules_per_readout: one 8-bit
    conversion of one unit. These are assumptions, not measurements; replace them by your device's.
    """

    temperature: float = 300.0
    capacitance: float = 1e-15
    write_volts: float = 1.0
    joules_per_readout: float = 1e-12

    def __post_init__(self) -> None:
        """Refuse a temperature at which kT means nothing."""
        require(self.temperature > 0, f"temperature = {self.temperature} K: give a positive temperature")

    @property
    def kT(self) -> float:
        """Thermal energy, J."""
        return BOLTZMANN * self.temperature

    @property
    def joules_per_write(self) -> float:
        """Energy of rewriting one coupling, J."""
        return self.capacitance * self.write_volts**2


@dataclass(frozen=True)
class Line:
    """One line of the comparison: energy per sample, and what kind of evidence it rests on."""

    name: str
    kT: float
    joules: float
    evidence: str


@dataclass(frozen=True)
class Comparison:
    """Energy per sample, thermodynamic against digital, and the ratio as more of the device is counted.

    `ratios` maps what is included to digital energy divided by thermodynamic energy (None if no energy is
    spent: an untrained computer).
    """

    lines: tuple[Line, ...]
    ratios: dict[str, float | None]


def compare(
    heat_kT: float,
    couplings: int,
    visible: int,
    digital: DigitalDenoiser | None = None,
    device: Device | None = None,
) -> Comparison:
    """The paper's comparison with this run's own mean heat, and what it leaves out.

    heat_kT: mean heat of generation per sample, kT. couplings: number written; visible: units read out.
    The last ratio counts rewriting every coupling for each sample, the worst case: a device that keeps its
    couplings pays for them once.
    """
    digital, device = digital or DigitalDenoiser(), device or Device()

    def line(name: str, joules: float, evidence: str) -> Line:
        return Line(name, joules / device.kT, joules, evidence)

    heat = line("heat of generation", heat_kT * device.kT, "simulated")
    readout = line(f"read-out of {visible} units", visible * device.joules_per_readout, "assumed")
    writing = line(f"writing {couplings:,} couplings", couplings * device.joules_per_write, "assumed")
    rival = line(
        f"digital denoiser {'-'.join(map(str, digital.widths))}, {digital.steps} steps",
        digital.joules,
        "modelled",
    )
    spent, ratios = 0.0, {}
    for label, part in (
        ("heat alone", heat),
        ("and read-out", readout),
        ("and rewriting every coupling", writing),
    ):
        spent += part.joules
        ratios[label] = digital.joules / spent if spent > 0 else None
    return Comparison((heat, readout, writing, rival), ratios)
