"""Generation: from noise to images by the computer's own dynamics, with the heat and work of every sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from thermogen.checkpoint import load_checkpoint, save_checkpoint
from thermogen.computer import Computer, EnergyParts
from thermogen.control import Conditional, Control, Segments
from thermogen.couplings import Units
from thermogen.errors import InputError, require
from thermogen.langevin import EulerMaruyama, Integrator, TimeSum, sample_uncoupled, simulate
from thermogen.noising import Schedule

BATCH = 250
"""Samples simulated together: enough to keep the products efficient; memory grows with it, not with n."""


@dataclass(frozen=True)
class Samples:
    """Generated samples. States are dimensionless; energies, heat and work are in E0 (`*_kT`: in kT).

    x: end states (n, N). visible: what is read out, the visible units averaged over the last `readout` of
    generation (at t_f if that is 0), (n, visible).
    heat: Q, released to the bath, the sum of -dV along the path at fixed couplings; V(x(0)) - V(x(t_f)) for a
    constant computer. work: W = V(x(0)) - V_0(x(0)), the cost of switching the trained potential on at t = 0,
    plus `switching`, that of changing couplings between segments. So V(x(t_f)) - V_0(x(0)) = W - Q.
    start, end: energy parts just after switching on, and at t_f. labels: the condition of each sample, if the
    couplings depend on one. film: visible states of the first samples (frames, m, visible) at `film_times`.
    """

    x: Float[np.ndarray, "n N"]
    visible: Float[np.ndarray, "n visible"]
    heat: Float[np.ndarray, " n"]
    work: Float[np.ndarray, " n"]
    switching: Float[np.ndarray, " n"]
    start: EnergyParts
    end: EnergyParts
    film: Float[np.ndarray, "frames m visible"]
    film_times: Float[np.ndarray, " frames"]
    kT: float
    units: Units
    labels: Int[np.ndarray, " n"] | None = None

    @property
    def hidden(self) -> Float[np.ndarray, "n hidden"]:
        """The hidden units at t_f."""
        return self.x[:, self.units.part("hidden")]

    @property
    def heat_kT(self) -> Float[np.ndarray, " n"]:
        """Heat released per sample, in kT."""
        return self.heat / self.kT

    @property
    def work_kT(self) -> Float[np.ndarray, " n"]:
        """Work of switching on per sample, in kT."""
        return self.work / self.kT

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.x)


class _Batch(NamedTuple):
    """What is kept of a batch; `switching` and `heat` along the way, `film` of the first samples."""

    x: Array
    readout: Array | None
    start: EnergyParts
    end: EnergyParts
    idle: Array
    heat: Array
    switching: Array
    film: Array


@eqx.filter_jit
def _start(key, idle: Computer, numbers):
    x = sample_uncoupled(key, idle, numbers)
    return x, idle.energy(x)


@eqx.filter_jit
def _energies(computer: Computer, x):
    return computer.energy_parts(x)


class _Timetable(NamedTuple):
    """Stretches between the steps at which something happens: a film frame, a new segment, the read-out."""

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


def _segments(control: Computer | Segments) -> int:
    return control.count if isinstance(control, Segments) else 1


def _timetable(segments: int, all_segments: set[int], schedule: Schedule, film_frames: int) -> _Timetable:
    """For a control of so many segments, filmed at times that suit those of all conditions."""
    steps = schedule.steps
    for count in all_segments:
        check_segments(schedule, count)
    readout = steps - schedule.readout_steps if schedule.readout else steps
    switches = [steps * number // segments for number in range(segments)]
    ends = {steps * number // count for count in all_segments for number in range(count)}
    corners = sorted({*ends, readout, steps})
    # Frames divide each part evenly: few different lengths, each of which is compiled once.
    frames = {0, steps}
    for low, high in pairwise(corners):
        count = max(1, round(film_frames * (high - low) / steps))
        frames |= set(np.linspace(low, high, count + 1).round().astype(int).tolist())
    frames = sorted(frames if film_frames > 1 else {0, steps})
    return _Timetable(sorted({*corners, *frames}), frames, switches, readout)


def generate(
    key: Key[Array, ""],
    control: Control,
    count: int,
    schedule: Schedule | None = None,
    *,
    labels: Sequence[int] | np.ndarray | None = None,
    idle: Computer | None = None,
    integrator: Integrator | None = None,
    batch: int = BATCH,
    film_frames: int = 30,
    film_samples: int = 10,
    checkpoint: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Samples:
    """Generate `count` samples: equilibrate the uncoupled units, switch V_theta on, run for t_f, read.

        x(0) ~ exp(-V_0 / kT);   dx = -mu grad V_theta dt + sqrt(2 mu kT) dW;   image = visible x(t_f)

    `control` is a Computer, `Segments` (V_theta changes at given times) or `Conditional` (one V_theta per
    label); `labels` (count,) says which label each sample is drawn with, by default all of them in turn.
    `idle` is the uncoupled computer whose equilibrium is the start, where training changed J2.
    Works in batches of `batch` samples, so memory does not grow with `count` beyond the results; the noise
    of sample n depends on (key, n, step) alone. About `film_frames` intervals of the first `film_samples`
    samples are kept. With `checkpoint` (a folder) finished batches are stored and not repeated.
    `progress(done, total)` is called after each film interval, in sample-steps.

    Raises InputError for a count or batch below 1, unknown labels, or segments that dt does not divide;
    DivergenceError for a dt that is too large.
    Cost: 4 ms per sample-batch step of 250 x 1,296 published units on two cores (10 s a batch).
    """
    schedule = schedule or Schedule()
    require(count >= 1, f"count = {count}: ask for 1 sample or more")
    require(batch >= 1, f"batch = {batch}: give 1 sample or more")
    groups, labels = _groups(control, count, labels)
    counts = {_segments(one) for _, one, _ in groups}
    method = integrator or EulerMaruyama()
    total, done = count * schedule.steps, 0
    numbers, kept = [], []
    table = None
    for name, one, members in groups:
        table = _timetable(_segments(one), counts, schedule, film_frames)
        size = min(batch, len(members))
        for first in range(0, len(members), size):
            # Batches have one shape, so nothing compiles twice; surplus samples of the last are dropped.
            useful = members[first : first + size]
            padded = jnp.asarray(np.resize(useful, size))
            file = None if checkpoint is None else checkpoint / f"samples-{name}{first:07d}.safetensors"
            shown = min(film_samples, size)

            def tick(steps: int, useful=useful, done=done) -> None:
                if progress is not None:
                    progress(done + len(useful) * steps, total)

            rest = one.uncoupled() if idle is None else idle
            stored = _run(key, one, rest, padded, schedule, table, method, shown, file, tick)
            done += len(useful) * schedule.steps
            numbers.append(useful)
            kept.append(jax.tree.map(np.asarray, stored))
    assert table is not None
    order = np.argsort(np.concatenate(numbers), kind="stable")

    def joined(*arrays: np.ndarray) -> np.ndarray:
        cut = [array[: len(useful)] for array, useful in zip(arrays, numbers, strict=True)]
        return np.concatenate(cut)[order]

    film = [
        (number, part.film[:, place])
        for useful, part in zip(numbers, kept, strict=True)
        for place, number in enumerate(useful[: part.film.shape[1]])
        if number < film_samples
    ]
    film = [frames for _, frames in sorted(film, key=lambda one: one[0])]
    x, readout, start, end, idle, heat, switching = jax.tree.map(joined, *(part[:-1] for part in kept))
    visible = x[:, control.units.part("visible")] if readout is None else readout
    return Samples(
        x=x,
        visible=visible,
        heat=heat,
        work=start.total - idle + switching,
        switching=switching,
        start=start,
        end=end,
        film=np.stack(film, 1),
        film_times=np.asarray(table.frames) * schedule.dt,
        kT=float(control.kT),
        units=control.units,
        labels=labels,
    )


def _groups(
    control: Control, count: int, labels: Sequence[int] | np.ndarray | None
) -> tuple[list[tuple[str, Computer | Segments, np.ndarray]], np.ndarray | None]:
    """Sample numbers by label: (name, control, numbers), and the label of every sample."""
    if not isinstance(control, Conditional):
        require(
            labels is None, "labels are given, but the couplings do not depend on a label: leave them out"
        )
        return [("", control, np.arange(count))], None
    chosen = np.resize(control.labels, count) if labels is None else np.asarray(labels)
    require(
        chosen.shape == (count,), f"labels have shape {chosen.shape}: give one for each of {count} samples"
    )
    wanted = sorted({int(label) for label in chosen})
    groups = [(f"{label}-", control.choose(label), np.flatnonzero(chosen == label)) for label in wanted]
    return groups, chosen.astype(int)


def _run(
    key: Key[Array, ""],
    control: Computer | Segments,
    rest: Computer,
    numbers: Int[Array, " batch"],
    schedule: Schedule,
    table: _Timetable,
    method: Integrator,
    shown: int,
    file: Path | None,
    tick: Callable[[int], None],
) -> _Batch:
    """One batch, or what an earlier run stored of it."""
    units = control.units
    start_key, path_key = jax.random.split(key)
    computers = control.computers() if isinstance(control, Segments) else [control]
    x, idle = _start(start_key, rest, numbers)
    here = first = _energies(computers[0], x)
    zero = jnp.zeros_like(idle)
    window = jnp.zeros((len(numbers), units.visible), x.dtype) if schedule.readout else None
    if file is not None and file.exists():
        film = jnp.zeros((len(table.frames), shown, units.visible))
        like = _Batch(x, window, first, first, idle, zero, zero, film)
        return load_checkpoint(file, like)[0]
    computer, heat, switching = computers[0], zero, zero
    frames = [x[:shown, units.part("visible")]]
    for low, high in pairwise(table.bounds):
        if low in table.switches[1:]:
            before, computer = computer, computers[table.switches.index(low)]
            moved, after = _energies(before, x), _energies(computer, x)
            heat = heat + here.total - moved.total
            switching = switching + after.total - moved.total
            here = after
        reading = window is not None and low >= table.readout
        result = simulate(
            path_key,
            computer,
            x,
            steps=high - low,
            dt=schedule.dt,
            integrator=method,
            observers={"sum": TimeSum(units.part("visible"))} if reading else None,
            samples=numbers,
            first_step=low,
        )
        x = result.final
        if reading:
            window = window + result.records["sum"][-1] / schedule.readout_steps
        if high in table.frames:
            frames.append(x[:shown, units.part("visible")])
        tick(high)
    end = _energies(computer, x)
    batch = _Batch(x, window, first, end, idle, heat + here.total - end.total, switching, jnp.stack(frames))
    if file is not None:
        save_checkpoint(file, batch, {})
    return batch
