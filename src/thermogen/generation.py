"""Generation: from noise to images by the computer's own dynamics, with the heat and work of every sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from thermogen.checkpoint import load_checkpoint, save_checkpoint
from thermogen.computer import Computer, EnergyParts
from thermogen.couplings import Units
from thermogen.errors import require
from thermogen.langevin import EulerMaruyama, Integrator, sample_uncoupled, simulate
from thermogen.noising import Schedule

BATCH = 250
"""Samples simulated together: enough to keep the products efficient; memory grows with it, not with n."""


@dataclass(frozen=True)
class Samples:
    """Generated samples. States are dimensionless; energies, heat and work are in E0 (`*_kT`: in kT).

    x: end states (n, N). heat: Q = V(x(0)) - V(x(t_f)), released to the bath. work: W = V(x(0)) - V_0(x(0)),
    the cost of switching the trained potential on at t = 0 (outside Q). start, end: energy parts before and
    after. film: visible states of the first few samples (frames, m, visible) at `film_times`.
    """

    x: Float[np.ndarray, "n N"]
    heat: Float[np.ndarray, " n"]
    work: Float[np.ndarray, " n"]
    start: EnergyParts
    end: EnergyParts
    film: Float[np.ndarray, "frames m visible"]
    film_times: Float[np.ndarray, " frames"]
    kT: float
    units: Units

    @property
    def visible(self) -> Float[np.ndarray, "n visible"]:
        """What is read out: the visible units at t_f."""
        return self.x[:, self.units.part("visible")]

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


@eqx.filter_jit
def _start(key, computer: Computer, numbers):
    idle = computer.uncoupled()
    x = sample_uncoupled(key, idle, numbers)
    return x, computer.energy_parts(x), idle.energy(x)


@eqx.filter_jit
def _energies(computer: Computer, x):
    return computer.energy_parts(x)


def generate(
    key: Key[Array, ""],
    computer: Computer,
    count: int,
    schedule: Schedule | None = None,
    *,
    integrator: Integrator | None = None,
    batch: int = BATCH,
    film_frames: int = 30,
    film_samples: int = 10,
    checkpoint: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Samples:
    """Generate `count` samples: equilibrate the uncoupled units, switch V_theta on, run for t_f, read.

        x(0) ~ exp(-V_0 / kT);   dx = -mu grad V_theta dt + sqrt(2 mu kT) dW;   image = visible x(t_f)

    Works in batches of `batch` samples, so memory does not grow with `count` beyond the results; the noise
    of sample n depends on (key, n, step) alone. `film_frames` intervals of the first `film_samples` samples
    are kept. With `checkpoint` (a folder) finished batches are stored and not repeated. `progress(done,
    total)` is called after each film interval, in sample-steps.

    Raises InputError for a count or batch below 1, DivergenceError for a dt that is too large.
    Cost: 4 ms per sample-batch step of 250 x 1,296 published units on two cores (10 s a batch).
    """
    schedule = schedule or Schedule()
    require(count >= 1, f"count = {count}: ask for 1 sample or more")
    require(batch >= 1, f"batch = {batch}: give 1 sample or more")
    batch = min(batch, count)
    film_samples = min(film_samples, batch)
    steps = schedule.steps
    bounds = np.unique(np.linspace(0, steps, max(1, film_frames) + 1).round().astype(int))
    start_key, path_key = jax.random.split(key)
    total, done = count * steps, 0
    parts = []
    for first in range(0, count, batch):
        # Every batch has the same shape, so nothing compiles twice; surplus samples of the last are dropped.
        numbers = first + jnp.arange(batch)
        useful = min(batch, count - first)
        x, start, idle = _start(start_key, computer, numbers)
        file = None if checkpoint is None else checkpoint / f"samples-{first:07d}.safetensors"
        like = (x, start, start, idle, jnp.zeros((len(bounds), film_samples, computer.units.visible)))
        if file is not None and file.exists():
            stored, _ = load_checkpoint(file, like)
            done += useful * steps
        else:
            frames = [x[:film_samples, computer.units.part("visible")]]
            for low, high in pairwise(bounds):
                x = simulate(
                    path_key,
                    computer,
                    x,
                    steps=int(high - low),
                    dt=schedule.dt,
                    integrator=integrator or EulerMaruyama(),
                    samples=numbers,
                    first_step=int(low),
                ).final
                frames.append(x[:film_samples, computer.units.part("visible")])
                done += useful * int(high - low)
                if progress is not None:
                    progress(done, total)
            stored = (x, start, _energies(computer, x), idle, jnp.stack(frames))
            if file is not None:
                save_checkpoint(file, stored, {})
        parts.append(jax.tree.map(np.asarray, stored))

    def joined(*arrays):
        return np.concatenate(arrays)[:count]

    x, start, end, idle = jax.tree.map(joined, *(part[:4] for part in parts))
    return Samples(
        x=x,
        heat=start.total - end.total,
        work=start.total - idle,
        start=start,
        end=end,
        film=parts[0][4],
        film_times=bounds * schedule.dt,
        kT=float(computer.kT),
        units=computer.units,
    )
