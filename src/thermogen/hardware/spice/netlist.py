"""The computer as a netlist for ngspice: a unit is a capacitor, and everything that drives it is a current.

    C dq_i/dt = -(linear q_i + cubic q_i^3 + bias_i + sum_j G_ij q_j) + noise current

q is the voltage of the electrical platform. For other platforms a volt is one SI unit of the variable, and an
ampere one of the drive.

Measured with ngspice 39.3: `V^3` and `pow(V, 3)` give |V|^3, so products are written out; `trnoise` ignores
seeds, `trrandom` follows them, if every run draws an even number of times; without `uic` a run starts at the
minimum for constant currents; tolerances are absolute and for volts, so they are scaled to the device.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    """Settings of a run: times in 1 / (mobility E0), as everywhere outside hardware.

    t_f: duration. noise_step: time of a constant noise current. points: intervals of equal length whose ends
    are saved. reltol: tolerance of the simulator; it also sets the longest step, 0.1 noise steps at 1e-4 and
    as its root beyond, so that the error falls in proportion (measured: docs/hardware.md).
    """

    t_f: float = 2.5
    noise_step: float = 0.05
    points: int = 50
    reltol: float = 1e-4

    def __post_init__(self) -> None:
        """Refuse invalid times and tolerances."""
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
        """Longest step as a share of the noise step."""
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
    lines = [
        f"* {title}",
        f"* {total} units; variable in {physical.platform.variable}, drive in {physical.platform.force}; "
        f"one unit of x is {physical.scale:.6g}",
        *_units(physical, start[0], meter),
        *_couplings(physical, wiring(physical.couplings)),
        *_noise(physical, transient, noise, seeds is not None),
        *(_meter(physical, noise is not None or seeds is not None) if meter else ()),
        *_options(physical, transient),
        *_control(physical, start, transient, seeds, vectors(total, meter), raw),
    ]
    return "\n".join(lines) + "\n"


def vectors(units: int, meter: bool) -> list[str]:
    """Names of the saved vectors, besides the time: one for each unit, and the metered heat."""
    return [f"v(x{i})" for i in range(units)] + (["v(heat)"] if meter else [])


def _units(physical: PhysicalComputer, start: np.ndarray, meter: bool) -> Iterator[str]:
    """Storage, dissipation, wall and bias of every unit."""
    capacitance = physical.platform.storage
    for i, (x, bias) in enumerate(zip(start, physical.bias, strict=True)):
        end = f"m{i}" if meter else "0"
        yield f"C{i} x{i} {end} {_number(capacitance)} ic={_number(x * physical.scale)}"
        if meter:
            yield f"Vm{i} m{i} 0 0"
        yield f"R{i} x{i} 0 {_number(1 / physical.linear)}"
        yield f"B{i} x{i} 0 I={_number(physical.cubic)}*V(x{i})*V(x{i})*V(x{i})"
        if bias:
            yield f"Ib{i} x{i} 0 DC {_number(bias)}"


def _couplings(physical: PhysicalComputer, wired: Wiring) -> Iterator[str]:
    """Transconductances between units, or through summing nodes with a load each."""
    for i, j, value in zip(*wired.direct, strict=True):
        yield f"G{i}_{j} x{i} 0 x{j} 0 {_number(value)}"
    load = physical.conductance
    last = "y" if wired.mixing is None else "z"
    for k in range(wired.sense.shape[1]):
        yield f"Ry{k} y{k} 0 {_number(1 / load)}"
        for i in np.flatnonzero(wired.sense[:, k]):
            yield f"Gs{k}_{i} 0 y{k} x{i} 0 {_number(wired.sense[i, k] * load)}"
        if wired.mixing is not None:
            yield f"Rz{k} z{k} 0 {_number(1 / load)}"
            for m in np.flatnonzero(wired.mixing[k]):
                yield f"Gm{k}_{m} 0 z{k} y{m} 0 {_number(wired.mixing[k, m] * load)}"
        for i in np.flatnonzero(wired.drive[:, k]):
            yield f"Gd{k}_{i} x{i} 0 {last}{k} 0 {_number(wired.drive[i, k])}"
    for i in np.flatnonzero(wired.diagonal):
        yield f"Gx{i} x{i} 0 x{i} 0 {_number(-wired.diagonal[i])}"


def _noise(
    physical: PhysicalComputer, transient: Transient, noise: np.ndarray | None, drawn: bool
) -> Iterator[str]:
    """Piecewise-constant currents of the dissipative element: variance S / (2 step), S one-sided."""
    step = transient.noise_step * physical.time_unit
    size = physical.platform.noise_density / (2 * step) ** 0.5
    if drawn:
        source = f"DC 0 trrandom(2 {_number(step)} 0 {_number(size)} 0)"
        for i in range(len(physical.bias)):
            yield f"In{i} 0 x{i} {source}"
        if len(physical.bias) % 2:
            # Numbers come in pairs, and a seed does not drop the second one of the last pair of a run.
            yield f"Inpair 0 pair {source}"
            yield f"Rpair pair 0 {_number(1 / physical.linear)}"
    if noise is None:
        return
    rise = 1e-2 * transient.fineness * step  # from one value to the next, centred on the switch
    edges = np.arange(1, len(noise)) * step
    switches = np.stack([edges - rise / 2, edges + rise / 2], 1).ravel()
    times = [_number(float(t)) for t in (0.0, *switches, len(noise) * step)]
    for i, currents in enumerate(np.repeat(noise * size, 2, axis=0).T):
        points = [f"{t} {_number(value)}" for t, value in zip(times, currents, strict=True)]
        rows = "\n+ ".join(" ".join(points[k : k + LINE]) for k in range(0, len(points), LINE))
        yield f"In{i} 0 x{i} DC 0 PWL({rows})"


def _meter(physical: PhysicalComputer, noisy: bool) -> Iterator[str]:
    """Heat: the drive of unit i is the charging current less the noise; times dq/dt, in watts.

    The drive of the platform is dE/dq times a factor, by which power is divided.
    """
    per = 1 / (physical.platform.storage * physical.platform.drive)
    yield "Cheat heat 0 1 ic=0"
    for i in range(len(physical.bias)):
        noise = f"-I(In{i})" if noisy else ""
        yield f"Bh{i} 0 heat I=(I(Vm{i}){noise})*I(Vm{i})*{_number(per)}"


def _options(physical: PhysicalComputer, transient: Transient) -> Iterator[str]:
    """Tolerances: those of volts and amperes, in the scales of the device."""
    small = 1e-3 * transient.reltol * physical.scale
    yield (
        f".options reltol={_number(transient.reltol)} vntol={_number(small)} "
        f"abstol={_number(small * physical.conductance)} "
        f"chgtol={_number(small * physical.platform.storage)} trtol=1000"
    )
    yield f".options gmin={_number(1e-9 * physical.conductance)} interp"


def _control(
    physical: PhysicalComputer,
    start: np.ndarray,
    transient: Transient,
    seeds: np.ndarray | None,
    names: list[str],
    raw: str,
) -> Iterator[str]:
    """Run after run with its own initial charges and seed."""
    second = physical.time_unit
    end = transient.t_f * second
    every, longest = end / transient.points, transient.noise_step * transient.fineness * second
    yield ".control\nset filetype=binary\nset appendwrite"
    for k in range(0, len(names), LINE):
        yield f"save {' '.join(names[k : k + LINE])}"
    for run, x in enumerate(start):
        for i, value in enumerate(x if run else ()):
            yield f"alter @c{i}[ic]={_number(value * physical.scale)}"
        if seeds is not None:
            yield f"setseed {int(seeds[run])}"
        # A little beyond the end: rounding must not cost the last point, which a grid time has to pass.
        yield f"tran {_number(every)} {_number(end * (1 + 1e-6))} 0 {_number(longest)} uic"
        yield f"write {raw}\ndestroy all\necho done {run + 1}"
    yield "quit\n.endc\n.end"


def _number(value: float) -> str:
    return f"{value:.9g}"
