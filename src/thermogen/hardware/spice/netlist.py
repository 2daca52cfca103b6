"""The computer as a netlist that ngspice runs: a unit is a capacitor, everything that drives it a current.

    C dq_i/dt = -(linear q_i + cubic q_i^3 + bias_i + sum_j G_ij q_j) + noise current

Written for the voltage q of the electrical platform. For other platforms the same deck is their analogue:
a volt stands for one SI unit of the variable, an ampere for one of the drive.

What was found by measurement with ngspice 39.3, and is kept to here: `V^3` and `pow(V, 3)` give |V|^3, so
products are written out; `trnoise` ignores seeds, `trrandom` keeps to them, if every run draws an even number
of times; without `uic` a run starts at the minimum for constant currents; tolerances are absolute and made
for volts, so they are scaled to the device.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from thermogen.errors import require
from thermogen.hardware.physical import PhysicalComputer
from thermogen.hardware.wiring import Wiring, wiring

LINE = 8
"""Items of a list on one line: ngspice reads long lines badly."""


@dataclass(frozen=True)
class Transient:
    """How a deck is run: times in 1 / (mobility E0), as everywhere outside hardware.

    t_f: duration. noise_step: time for which a noise current is held. points: intervals of equal length whose
    ends are kept. reltol: tolerance of the simulator; it also sets the longest step, 0.1 noise steps at 1e-4
    and as its root beyond, so that the error falls in proportion (measured: docs/hardware.md).
    """

    t_f: float = 2.5
    noise_step: float = 0.05
    points: int = 50
    reltol: float = 1e-4

    def __post_init__(self) -> None:
        """Refuse what is no time or tolerance."""
        for name in ("t_f", "noise_step", "reltol"):
            value = getattr(self, name)
            require(np.isfinite(value) and value > 0, f"{name} = {value}: give a positive number")
        require(self.points >= 1, f"points = {self.points}: give 1 or more")
        steps = self.t_f / self.noise_step
        require(
            abs(steps - round(steps)) < 1e-6 * steps and round(steps) >= 1,
            f"noise_step = {self.noise_step:g} does not divide t_f = {self.t_f:g}: try "
            f"{self.t_f / max(1, round(steps)):.6g}",
        )

    @property
    def steps(self) -> int:
        """Number of noise currents of a unit."""
        return round(self.t_f / self.noise_step)

    @property
    def fineness(self) -> float:
        """Longest step as a part of the noise step."""
        return min(0.5, 0.1 * (self.reltol / 1e-4) ** 0.5)


def netlist(
    physical: PhysicalComputer,
    start: Float[np.ndarray, "runs N"],
    transient: Transient,
    *,
    noise: Float[np.ndarray, "steps N"] | None = None,
    seeds: Int[np.ndarray, " runs"] | None = None,
    meter: bool = False,
    raw: str = "states.raw",
    title: str = "generative thermodynamic computer",
) -> str:
    """A deck with its control script: one transient run for every row of `start`, states appended to `raw`.

    start: (runs, N), dimensionless. Noise currents are drawn by ngspice (`seeds`, one for each run), or given
    as N(0, 1) numbers (`noise`, one run), or absent. With `meter` node `heat` integrates the power of the
    drives, minus sum_i F_i dq_i: joules released since the start, as 1 F times its voltage.
    Raises InputError for both kinds of noise, for shapes that do not fit, for given noise of several runs.
    Cost: one line for every element; sparse elimination in ngspice takes time ~ N^3 for dense couplings.
    """
    total = len(physical.bias)
    require(
        start.ndim == 2 and start.shape[1] == total,
        f"start has shape {start.shape} for {total} units: give (runs, {total})",
    )
    require(noise is None or seeds is None, "noise and seeds are both given: give one of them")
    require(noise is None or len(start) == 1, f"noise is given for one run, not {len(start)}: one deck each")
    require(
        noise is None or noise.shape == (transient.steps, total),
        f"noise has shape {None if noise is None else noise.shape}: give ({transient.steps}, {total})",
    )
    require(
        seeds is None or seeds.shape == (len(start),),
        f"seeds have shape {None if seeds is None else seeds.shape}: give one for each of {len(start)} runs",
    )
    out = io.StringIO()
    out.write(f"* {title}\n* {total} units; variable in {physical.platform.variable}, drive in "
              f"{physical.platform.force}; one unit of x is {physical.scale:.6g}\n")  # fmt: skip
    wired = wiring(physical.couplings)
    _write_units(out, physical, start[0], meter)
    _write_couplings(out, physical, wired)
    _write_noise(out, physical, transient, noise, seeds is not None)
    if meter:
        _write_meter(out, physical, noise is not None or seeds is not None)
    _write_options(out, physical, transient)
    names = [f"v(x{i})" for i in range(total)] + (["v(heat)"] if meter else [])
    _write_control(out, physical, start, transient, seeds, names, raw)
    return out.getvalue()


def _write_units(out: io.StringIO, physical: PhysicalComputer, start: np.ndarray, meter: bool) -> None:
    """Storage, dissipation, wall and bias of every unit."""
    capacitance = physical.platform.storage
    for i, (x, bias) in enumerate(zip(start, physical.bias, strict=True)):
        end = f"m{i}" if meter else "0"
        out.write(f"C{i} x{i} {end} {_number(capacitance)} ic={_number(x * physical.scale)}\n")
        if meter:
            out.write(f"Vm{i} m{i} 0 0\n")
        out.write(f"R{i} x{i} 0 {_number(1 / physical.linear)}\n")
        out.write(f"B{i} x{i} 0 I={_number(physical.cubic)}*V(x{i})*V(x{i})*V(x{i})\n")
        if bias:
            out.write(f"Ib{i} x{i} 0 DC {_number(bias)}\n")


def _write_couplings(out: io.StringIO, physical: PhysicalComputer, wired: Wiring) -> None:
    """Transconductances between units, or through summing nodes with a load each."""
    for i, j, value in zip(*wired.direct, strict=True):
        out.write(f"G{i}_{j} x{i} 0 x{j} 0 {_number(value)}\n")
    load = physical.conductance
    last = "y" if wired.mixing is None else "z"
    for k in range(wired.sense.shape[1]):
        out.write(f"Ry{k} y{k} 0 {_number(1 / load)}\n")
        for i in np.flatnonzero(wired.sense[:, k]):
            out.write(f"Gs{k}_{i} 0 y{k} x{i} 0 {_number(wired.sense[i, k] * load)}\n")
        if wired.mixing is not None:
            out.write(f"Rz{k} z{k} 0 {_number(1 / load)}\n")
            for m in np.flatnonzero(wired.mixing[k]):
                out.write(f"Gm{k}_{m} 0 z{k} y{m} 0 {_number(wired.mixing[k, m] * load)}\n")
        for i in np.flatnonzero(wired.drive[:, k]):
            out.write(f"Gd{k}_{i} x{i} 0 {last}{k} 0 {_number(wired.drive[i, k])}\n")
    for i in np.flatnonzero(wired.diagonal):
        out.write(f"Gx{i} x{i} 0 x{i} 0 {_number(-wired.diagonal[i])}\n")


def _write_noise(
    out: io.StringIO,
    physical: PhysicalComputer,
    transient: Transient,
    noise: np.ndarray | None,
    drawn: bool,
) -> None:
    """Piecewise constant currents of the dissipative element: variance S / (2 step), S one-sided."""
    step = transient.noise_step * physical.time_unit
    size = noise_current(physical, transient)
    if drawn:
        source = f"DC 0 trrandom(2 {_number(step)} 0 {_number(size)} 0)\n"
        for i in range(len(physical.bias)):
            out.write(f"In{i} 0 x{i} {source}")
        if len(physical.bias) % 2:
            # Numbers come in pairs, and a seed does not drop the second one left over from the last run.
            out.write(f"Inpair 0 pair {source}Rpair pair 0 {_number(1 / physical.linear)}\n")
    if noise is None:
        return
    rise = 1e-2 * transient.fineness * step  # from one value to the next, centred on the switch
    edges = np.arange(1, len(noise)) * step
    switches = np.stack([edges - rise / 2, edges + rise / 2], 1).ravel()
    times = np.concatenate([[0.0], switches, [len(noise) * step]])
    stamps = [_number(t) for t in times]
    for i, held in enumerate(np.repeat(noise * size, 2, axis=0).T):
        points = [f"{t} {_number(value)}" for t, value in zip(stamps, held, strict=True)]
        lines = "\n+ ".join(" ".join(points[k : k + LINE]) for k in range(0, len(points), LINE))
        out.write(f"In{i} 0 x{i} DC 0 PWL({lines})\n")


def noise_current(physical: PhysicalComputer, transient: Transient) -> float:
    """Standard deviation of a held noise drive, sqrt(S / 2 step): A, or N."""
    return physical.platform.noise_density / (2 * transient.noise_step * physical.time_unit) ** 0.5


def _write_meter(out: io.StringIO, physical: PhysicalComputer, noisy: bool) -> None:
    """Heat: the drive of unit i is what charges it, less the noise; times dq/dt, in watts.

    The drive of the platform is dE/dq times a factor, by which power is divided.
    """
    per = 1 / (physical.platform.storage * physical.platform.drive)
    out.write("Cheat heat 0 1 ic=0\n")
    for i in range(len(physical.bias)):
        noise = f"-I(In{i})" if noisy else ""
        out.write(f"Bh{i} 0 heat I=(I(Vm{i}){noise})*I(Vm{i})*{_number(per)}\n")


def _write_options(out: io.StringIO, physical: PhysicalComputer, transient: Transient) -> None:
    """Tolerances: those of volts and amperes, times what a volt and an ampere are here."""
    small = 1e-3 * transient.reltol * physical.scale
    drive = small * physical.conductance
    out.write(
        f".options reltol={_number(transient.reltol)} vntol={_number(small)} abstol={_number(drive)} "
        f"chgtol={_number(small * physical.platform.storage)} trtol=1000\n"
        f".options gmin={_number(1e-9 * physical.conductance)} interp\n"
    )


def _write_control(
    out: io.StringIO,
    physical: PhysicalComputer,
    start: np.ndarray,
    transient: Transient,
    seeds: np.ndarray | None,
    names: list[str],
    raw: str,
) -> None:
    """Run after run with its own initial charges and seed."""
    second = physical.time_unit
    end = transient.t_f * second
    every, longest = end / transient.points, transient.noise_step * transient.fineness * second
    out.write(".control\nset filetype=binary\nset appendwrite\n")
    for k in range(0, len(names), LINE):
        out.write(f"save {' '.join(names[k : k + LINE])}\n")
    for run, x in enumerate(start):
        if run:
            for i, value in enumerate(x):
                out.write(f"alter @c{i}[ic]={_number(value * physical.scale)}\n")
        if seeds is not None:
            out.write(f"setseed {int(seeds[run])}\n")
        # A little beyond the end: rounding must not cost the last point, which a grid time has to pass.
        out.write(f"tran {_number(every)} {_number(end * (1 + 1e-6))} 0 {_number(longest)} uic\n")
        out.write(f"write {raw}\ndestroy all\necho done {run + 1}\n")
    out.write("quit\n.endc\n.end\n")


def _number(value: float) -> str:
    return f"{value:.9g}"
