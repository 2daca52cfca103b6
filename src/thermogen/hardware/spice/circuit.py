"""Samples computed by ngspice, in the library's own records, beside those that the library computes."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from thermogen.computer import Computer
from thermogen.errors import require
from thermogen.generation import Samples
from thermogen.hardware.physical import PhysicalComputer
from thermogen.hardware.spice.netlist import Transient, netlist
from thermogen.hardware.spice.ngspice import find_ngspice, run_deck
from thermogen.langevin import sample_uncoupled
from thermogen.noising import Schedule
from thermogen.storage.cache import ResultCache

WORKERS = 2
"""Decks that run at a time."""


class CircuitPaths(NamedTuple):
    """States (runs, points, N), dimensionless, at the ends of equal intervals, and metered heat in joules."""

    x: Float[np.ndarray, "runs points N"]
    heat: Float[np.ndarray, " runs"] | None


@dataclass(frozen=True)
class CircuitBench:
    """Where decks are kept and run: a folder, the program, and how many runs share a deck."""

    folder: Path
    program: str
    runs_of_deck: int = 25
    workers: int = WORKERS

    @classmethod
    def at(cls, folder: Path, program: str | None = None, **given: int) -> CircuitBench:
        """A bench in a folder, made if need be; InputError without ngspice."""
        found = find_ngspice(program)
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder, found, **given)


def circuit_paths(
    physical: PhysicalComputer,
    start: Float[np.ndarray, "runs N"],
    transient: Transient,
    bench: CircuitBench,
    *,
    noise: Float[np.ndarray, "runs steps N"] | None = None,
    seeds: Int[np.ndarray, " runs"] | None = None,
    meter: bool = False,
    progress: Callable[[int], None] | None = None,
) -> CircuitPaths:
    """Paths of a circuit from given states, by ngspice: noise given, drawn by it from seeds, or absent.

    A finished deck leaves its states beside it, under the hash of its text: the same call again, also after
    Ctrl-C or a kill, runs only what is missing. `progress(runs done)`.
    Raises InputError as `netlist` and `run_deck` do.
    """
    cache = ResultCache(bench.folder)
    size = 1 if noise is not None else bench.runs_of_deck
    names = ["time"] + [f"v(x{i})" for i in range(start.shape[1])] + (["v(heat)"] if meter else [])
    end = transient.t_f * physical.time_unit
    grid = np.linspace(0, end, transient.points + 1)[1:]
    parts = [slice(first, first + size) for first in range(0, len(start), size)]
    done = [0] * len(parts)
    running: set[subprocess.Popen[str]] = set()

    def report(number: int, count: int) -> None:
        done[number] = count
        if progress is not None:
            progress(sum(done))

    def run(number: int) -> np.ndarray:
        part = parts[number]
        deck = netlist(
            physical,
            start[part],
            transient,
            noise=None if noise is None else noise[number],
            seeds=None if seeds is None else seeds[part],
            meter=meter,
        )
        identity, count = {"deck": hashlib.sha256(deck.encode()).hexdigest()}, len(start[part])

        def made() -> np.ndarray:
            folder = cache.file("deck", identity, "")
            folder.mkdir(exist_ok=True)
            path, raw = folder / "deck.cir", folder / "states.raw"
            path.write_text(deck)
            states = run_deck(bench.program, path, raw, count, names, lambda n: report(number, n), running)
            found = _on_grid(states, grid)
            shutil.rmtree(folder)
            return found

        found = cache.array("deck", identity, made)
        report(number, count)
        return found

    with ThreadPoolExecutor(bench.workers) as pool:
        try:
            values = np.concatenate(list(pool.map(run, range(len(parts)))))
        except BaseException:  # Ctrl-C too: nothing goes on running behind
            pool.shutdown(cancel_futures=True, wait=False)
            for process in list(running):
                process.kill()
            raise
    total = start.shape[1]
    heat = values[:, -1, total] if meter else None
    return CircuitPaths(values[..., :total] / physical.scale, heat)


def _on_grid(found: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """The values at the grid's times, which are among those that ngspice saved; the time left out."""
    times = found[0, :, 0]
    places = np.abs(times[:, None] - grid).argmin(0)
    missed = float(np.abs(times[places] - grid).max() / grid[0])
    require(missed < 1e-3, f"ngspice saved no state within {missed:.1e} intervals of the times asked for")
    return found[:, places, 1:]


def start_states(key: Key[Array, ""], computer: Computer, samples: Int[np.ndarray, " n"]) -> np.ndarray:
    """Where samples start: the uncoupled units in equilibrium, as `generate` draws them for this key."""
    start_key, _ = jax.random.split(key)
    return np.asarray(sample_uncoupled(start_key, computer.uncoupled(), jnp.asarray(samples)), float)


def generate_in_circuit(
    key: Key[Array, ""],
    computer: Computer,
    physical: PhysicalComputer,
    count: int,
    schedule: Schedule,
    transient: Transient,
    bench: CircuitBench,
    *,
    first: int = 0,
    film_samples: int = 10,
    progress: Callable[[int], None] | None = None,
) -> Samples:
    """What `generate` gives, computed by ngspice: the same start states for the same key, its own noise.

    Samples number `first` and on; number n has the seed n + 1 of ngspice's generator, whatever else runs.
    Heat is the energy lost along the way, as for any constant computer. The read-out averages the points of
    the schedule's window.
    """
    require(count >= 1, f"count = {count}: ask for 1 sample or more")
    numbers = np.arange(first, first + count)
    start, seeds = start_states(key, computer, numbers), numbers + 1
    paths = circuit_paths(physical, start, transient, bench, seeds=seeds, progress=progress)
    return as_samples(computer, start, paths, schedule, film_samples)


def as_samples(
    computer: Computer,
    start: Float[np.ndarray, "runs N"],
    paths: CircuitPaths,
    schedule: Schedule,
    film_samples: int = 10,
) -> Samples:
    """Paths from given starts as the library's record of samples: energies in E0, read-outs, film."""
    dtype = computer.bias.dtype
    x = paths.x[:, -1]
    points = paths.x.shape[1]
    begin, end = (
        jax.tree.map(np.asarray, computer.energy_parts(jnp.asarray(one, dtype))) for one in (start, x)
    )
    idle = np.asarray(computer.uncoupled().energy(jnp.asarray(start, dtype)))
    visible = computer.units.slice("visible")
    window = max(1, round(points * schedule.readout / schedule.t_f))
    film = np.concatenate([start[:film_samples, None], paths.x[:film_samples]], 1)[..., visible]
    return Samples(
        x=x,
        visible=paths.x[:, -window:, visible].mean(1),
        heat=np.asarray(begin.total - end.total),
        work=np.asarray(begin.total - idle),
        switching=np.zeros(len(x)),
        start=begin,
        end=end,
        film=np.swapaxes(film, 0, 1),
        film_times=np.linspace(0, schedule.t_f, points + 1),
        kT=float(computer.kT),
        units=computer.units,
    )
