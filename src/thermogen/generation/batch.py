"""One batch of generation, from the start in equilibrium to the read-out, with its energies."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from thermogen.computer import Computer, EnergyParts
from thermogen.control import Clamp, Control
from thermogen.couplings import Units
from thermogen.errors import InputError
from thermogen.langevin import HeatAndWork, Integrator, Observer, TimeSum, sample_uncoupled, simulate
from thermogen.noising import Schedule


class Batch(NamedTuple):
    """The results of a batch; `switching` and `heat` along the path, `film` of the first samples."""

    x: Array | np.ndarray
    readout: Array | np.ndarray | None
    start: EnergyParts
    end: EnergyParts
    idle: Array | np.ndarray
    heat: Array | np.ndarray
    switching: Array | np.ndarray
    film: Array | np.ndarray


@eqx.filter_jit
def _start(key, idle: Computer, numbers):
    x = sample_uncoupled(key, idle, numbers)
    return x, idle.energy(x)


@eqx.filter_jit
def _energies(computer: Computer, x):
    return computer.energy_parts(x)


class Timetable(NamedTuple):
    """The steps of film frames, new segments and the read-out; `bounds` are all of them."""

    bounds: list[int]
    frames: list[int]
    switches: list[int]
    readout: int


def check_segments(schedule: Schedule, count: int) -> None:
    """InputError unless every segment holds a whole number of steps."""
    if schedule.steps % count:
        raise InputError(
            f"{count} segments do not divide the {schedule.steps} steps of t_f = {schedule.t_f:g}, "
            f"dt = {schedule.dt:g}: choose a dt or a number of segments that does"
        )


def check_horizon(control: Control, schedule: Schedule) -> None:
    """InputError if the control was made for another duration than that of the schedule."""
    duration = control.duration
    if duration is not None and not np.isclose(duration, schedule.t_f):
        raise InputError(
            f"the control lasts {duration:g}, the schedule t_f = {schedule.t_f:g}: use one duration for both"
        )


def timetable(segments: int, all_segments: set[int], schedule: Schedule, film_frames: int) -> Timetable:
    """For a control of `segments` segments; the film times are common to all groups."""
    steps = schedule.steps
    for count in all_segments:
        check_segments(schedule, count)
    readout = steps - schedule.readout_steps if schedule.readout else steps
    switches = [steps * number // segments for number in range(segments)]
    ends = {steps * number // count for count in all_segments for number in range(count)}
    corners = sorted({*ends, readout, steps})
    # Frames divide each interval evenly: few different lengths, each compiled once.
    frames = {0, steps}
    for low, high in pairwise(corners):
        count = max(1, round(film_frames * (high - low) / steps))
        frames |= set(np.linspace(low, high, count + 1).round().astype(int).tolist())
    frames = sorted(frames if film_frames > 1 else {0, steps})
    return Timetable(sorted({*corners, *frames}), frames, switches, readout)


def blank(size: int, units: Units, shown: int, schedule: Schedule, table: Timetable) -> Batch:
    """A batch of the right shapes without content."""
    zero = np.zeros(size, np.float32)
    energies = EnergyParts(zero, zero, zero)
    window = np.zeros((size, units.visible), np.float32) if schedule.readout else None
    film = np.zeros((len(table.frames), shown, units.visible), np.float32)
    return Batch(
        np.zeros((size, units.total), np.float32), window, energies, energies, zero, zero, zero, film
    )


def parted(batches: Batch, count: int) -> list[Batch]:
    """The batches that ran as one; the film has its samples along the second axis."""
    return [
        jax.tree.map(lambda leaf, i=i: np.split(leaf, count, int(leaf.ndim == 3))[i].copy(), batches)
        for i in range(count)
    ]


def run_batch(
    key: Key[Array, ""],
    control: Control,
    rest: Computer,
    numbers: Int[Array, " batch"],
    schedule: Schedule,
    table: Timetable,
    method: Integrator,
    shown: int,
    tick: Callable[[int], None],
    clamp: tuple[Clamp, np.ndarray] | None = None,
    together: int = 1,
) -> Batch:
    """One batch, or `together` of one size that run at once, each on its own device (see `parted`).

    The sharding of the sample `numbers` gives the devices. `shown` samples of each batch are filmed. `clamp`:
    a clamp and its rows for these samples.
    """
    units = control.units
    start_key, path_key = jax.random.split(key)
    x, idle = _start(start_key, rest, numbers)
    if clamp is not None:
        clamped, rows = clamp
        x, control = jax.device_put(clamped.start(x, rows), x.sharding), clamped.freeze(control)
        idle = jnp.asarray(_energies(rest, x).total)
    # An observer follows a control that changes at every step; other controls change between stretches.
    stages: list[Control] = [control] if control.continuous else [*control.computers()]
    here = first = _energies(control.at(0.0), x)
    zero = jnp.zeros_like(idle)
    window = jnp.zeros_like(x[:, units.slice("visible")]) if schedule.readout else None
    current, heat, switching = stages[0], zero, zero

    def frame(x: Array) -> Array:
        if together == 1:
            return x[:shown, units.slice("visible")]
        shown_states = x.reshape(together, -1, x.shape[1])[:, :shown, units.slice("visible")]
        return shown_states.reshape(together * shown, -1)

    frames = [frame(x)]
    for low, high in pairwise(table.bounds):
        if low in table.switches[1:]:
            before, current = current, stages[table.switches.index(low)]
            moved, after = _energies(before.at(0.0), x), _energies(current.at(0.0), x)
            heat = heat + here.total - moved.total
            switching = switching + after.total - moved.total
            here = after
        reading = window is not None and low >= table.readout
        observers: dict[str, Observer] = {}
        if reading:
            observers["sum"] = TimeSum(units.slice("visible"), window)
        if control.continuous:
            observers["ledger"] = HeatAndWork()
        result = simulate(
            path_key,
            current,
            x,
            steps=high - low,
            dt=schedule.dt,
            integrator=method,
            observers=observers or None,
            samples=numbers,
            first_step=low,
        )
        x = result.final
        if reading:
            window = result.records["sum"][-1]
        if control.continuous:
            heat = heat + result.records["ledger"]["heat"][-1]
            switching = switching + result.records["ledger"]["work"][-1]
        if high in table.frames:
            frames.append(frame(x))
        tick(high)
    if window is not None:
        window = window / schedule.readout_steps
    end = _energies(current.at(schedule.t_f), x)
    if not control.continuous:
        heat = heat + here.total - end.total
    return Batch(x, window, first, end, idle, heat, switching, jnp.stack(frames))
