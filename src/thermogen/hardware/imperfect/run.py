"""Runs of a device: from equilibrium to the read-out, with heat and work along the path of every sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from thermogen.errors import DivergenceError, require
from thermogen.generation import BATCH, check_horizon
from thermogen.generation.generate import requested
from thermogen.hardware.imperfect.device import Device, Dynamics
from thermogen.langevin import sample_keys, standard_normal
from thermogen.noising import Schedule

_MEMORY, _READING = 0x6D656D, 0x726561
"""Mark the keys of correlated noise at the start, and of read-out noise."""
_ESCAPED = 1e4  # thermal widths, far beyond every trained computer


@dataclass(frozen=True)
class DeviceSamples:
    """Samples of a device with their heat and work, in kT at the nominal temperature.

    visible: read values, (n, visible). x: true end states (n, N). heat_kT: Q released along the path, also by
    forces without an energy. work_kT: W of switching couplings and biases on, from zero at t = 0.
    labels, conditions: the requested ones of each sample, if the control has conditions.
    """

    visible: Float[np.ndarray, "n visible"]
    x: Float[np.ndarray, "n N"]
    heat_kT: Float[np.ndarray, " n"]
    work_kT: Float[np.ndarray, " n"]
    labels: Int[np.ndarray, " n"] | None = None
    conditions: Int[np.ndarray, " n"] | None = None

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.x)


class _Path(NamedTuple):
    """State of a run: position, pull there, correlated noise, filtered read-out, its sum, heat, work."""

    x: Array
    pull: Array
    memory: Array | None
    filtered: Array | None
    window: Array
    heat: Array
    work: Array


@eqx.filter_jit
def _run(
    dynamics: Dynamics,
    keys: Array,
    memory_keys: Array,
    x: Array,
    dt: Array,
    opens: Array,
    steps: int,
    visible: int,
):
    """All steps of a batch; the read-out is summed after each step from number `opens` on."""
    d, units = dynamics, x.shape[-1]
    sigma = jnp.sqrt(2 * d.mobility * d.bath * dt)
    memory = filtered = None
    keep = follow = jnp.ones((), x.dtype)
    if d.noise_time is not None:
        keep = jnp.exp(-dt / d.noise_time)
        first = standard_normal(memory_keys, 0, units, x.dtype)
        memory = sigma * jnp.sqrt((1 - keep) / (1 + keep)) * first
    if d.readout_time is not None:
        follow = -jnp.expm1(-dt / d.readout_time)
        filtered = jnp.zeros_like(x[:, :visible])

    def one_step(path: _Path, k: Array) -> tuple[_Path, None]:
        x, pull = path.x, path.pull
        on = d.on(k * dt)
        own = x * (2 * d.J2 + 4 * d.J4 * x * x)
        slope = own + d.bias + pull if d.switching_time is None else own + on * (d.bias + pull)
        noise = sigma * standard_normal(keys, k, units, x.dtype)
        memory, filtered = path.memory, path.filtered
        if memory is not None:
            noise = memory = keep * memory + (1 - keep) * noise
        after = x + d.mobility * (d.offset - slope) * dt + noise
        moved, pull_after = after - x, d.pull(after)
        heat = path.heat - on * jnp.sum(moved * (d.bias + (pull + pull_after) / 2), -1)
        work = path.work
        if d.switching_time is not None:
            work = work + (d.on((k + 1) * dt) - on) * d.switched(after, pull_after)
        read = after[:, :visible]
        if filtered is not None:
            read = filtered = filtered + follow * (read - filtered)
        window = path.window + jnp.where(k >= opens, read, 0)
        return _Path(after, pull_after, memory, filtered, window, heat, work), None

    pull, zero = d.pull(x), jnp.zeros(x.shape[0], x.dtype)
    work = d.switched(x, pull) if d.switching_time is None else zero
    path = _Path(x, pull, memory, filtered, jnp.zeros_like(x[:, :visible]), zero, work)
    path, _ = jax.lax.scan(one_step, path, jnp.arange(steps))
    # The units alone have an energy: its loss needs no sum along the path.
    heat = path.heat + d.site(x) - d.site(path.x)
    return path.x, path.window, heat / d.kT, path.work / d.kT


def run_device(
    key: Key[Array, ""],
    device: Device,
    count: int,
    schedule: Schedule | None = None,
    *,
    labels: Sequence[int] | np.ndarray | None = None,
    batch: int = BATCH,
) -> DeviceSamples:
    """Generate `count` samples on a device: equilibrate, switch on, run for t_f, read. Euler-Maruyama.

    Start, noise and conditions of sample n are those of `generate` with the same key, with all imperfections.
    Correlated noise is stationary from the start and keeps its intensity at zero frequency:

        n_k = r n_{k-1} + (1 - r) sqrt(2 mu kT dt) xi_k,   r = exp(-dt / noise_time)

    Heat along the path, in E0, with p = sum_j J_ij phi(x_j) and s_k the share that is switched on:

        Q = V_site(x_0) - V_site(x_K) - sum_k s_k (x_{k+1} - x_k) . [b + (p_k + p_{k+1}) / 2]

    This is force times displacement in the Stratonovich sense, exact for on-site and linear forces, so that
    Q = V(x(0)) - V(x(t_f)) to rounding if V exists. Work: W = sum_k (s_{k+1} - s_k) (b . x + U)(x_{k+1}),
    see `Dynamics.switched`; all at once at t = 0 without a switching time. The read-out is averaged over
    `schedule.readout`, behind its filter, which starts at 0, and with its noise, one for each read value.

    labels (count,): requested classes, for controls with conditions (default: all in turn).
    Raises InputError for a count or batch below 1, labels of a control without any, or unknown ones;
    DivergenceError if dt is too large. Cost: that of `generate`, about 5 ms per step of 250 x 1,296 units.
    """
    schedule = schedule or Schedule()
    require(count >= 1, f"count = {count}: ask for 1 sample or more")
    require(batch >= 1, f"batch = {batch}: give 1 sample or more")
    check_horizon(device.control, schedule)
    request = requested(key, device.control, count, labels)
    path_key = jax.random.split(key)[1]
    reading, size = device.imperfections.readout_noise, min(batch, count)
    averaged = schedule.readout_steps if schedule.readout else 1
    opens = jnp.asarray(schedule.steps - averaged)
    batches = []
    for first in range(0, count, size):
        useful = np.arange(first, min(first + size, count))
        numbers = np.resize(useful, size)  # one shape for all batches
        chosen = jnp.asarray(numbers)
        x0 = device.start(key, chosen)
        dynamics = device.select(None if request.conditions is None else request.conditions[numbers])
        x, window, heat, work = _run(
            dynamics,
            sample_keys(path_key, chosen),
            sample_keys(jax.random.fold_in(path_key, _MEMORY), chosen),
            x0,
            jnp.asarray(schedule.dt, x0.dtype),
            opens,
            schedule.steps,
            device.units.visible,
        )
        visible = window / averaged
        if reading:
            keys = sample_keys(jax.random.fold_in(path_key, _READING), chosen)
            visible = visible + reading * standard_normal(keys, 0, visible.shape[1], visible.dtype)
        batches.append([np.asarray(rows)[: len(useful)] for rows in (visible, x, heat, work)])
    visible, x, heat, work = (np.concatenate(rows) for rows in zip(*batches, strict=True))
    _check(device, x, schedule)
    return DeviceSamples(visible, x, heat, work, request.labels, request.conditions)


def _check(device: Device, x: np.ndarray, schedule: Schedule) -> None:
    d = device.dynamics
    J2 = jnp.abs(d.J2)
    width = float(jnp.sqrt(jnp.max(d.bath) / jnp.maximum(jnp.min(J2), 0.01 * jnp.max(J2))))
    wild = np.argwhere(~(np.abs(x) < _ESCAPED * max(width, 1e-30)))
    if len(wild):
        row, unit = wild[0]
        raise DivergenceError(
            f"the device diverged (sample {row}, unit {unit}, x = {x[row, unit]:.3g}) with dt = "
            f"{schedule.dt:g}: try dt = {schedule.dt / 10:g}"
        )
