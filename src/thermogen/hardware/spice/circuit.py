"""Samples computed by ngspice, in the records of the library."""

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
from thermogen.hardware.spice.netlist import Transient, netlist, vectors
from thermogen.hardware.spice.ngspice import find_ngspice, run_deck
from thermogen.langevin import sample_uncoupled
from thermogen.noising import Schedule
from thermogen.storage.cache import ResultCache


class CircuitPaths(NamedTuple):
    """States (runs, points, N), dimensionless, at the ends of equal intervals, and metered heat in joules."""

    x: Float[np.ndarray, "runs points N"]
    heat: Float[np.ndarray, " runs"] | None


@dataclass(frozen=True)
class CircuitBench:
    """A folder for decks, the program that runs them, runs in a deck, and decks at a time."""

    folder: Path
    program: str
    runs_of_deck: int = 25
    workers: int = 2

    @classmethod
    def at(cls, folder: Path, program: str | None = None, **given: int) -> CircuitBench:
        """A bench in a folder, made if need be; InputError without ngspice."""
        path = find_ngspice(program)
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder, path, **given)


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

    The states of a finished deck are stored under the checksum of its text: the same call again, also after
    Ctrl-C or a kill, runs only the missing decks. `progress(runs done)`.
    Raises InputError as `netlist` and `run_deck` do.
    """
    cache = ResultCache(bench.folder)
    size = 1 if noise is not None else bench.runs_of_deck
    total = start.shape[1]
    names = ["time", *vectors(total, meter)]
    grid = np.linspace(0, transient.t_f * physical.time_unit, transient.points + 1)[1:]
    decks = [slice(first, first + size) for first in range(0, len(start), size)]
    done = [0] * len(decks)
    running: set[subprocess.Popen[str]] = set()

    def report(number: int, count: int) -> None:
        done[number] = count
        if progress is not None:
            progress(sum(done))

    def run(number: int) -> np.ndarray:
        rows = decks[number]
        deck = netlist(
            physical,
            start[rows],
            transient,
            noise=None if noise is None else noise[number],
            seeds=None if seeds is None else seeds[rows],
            meter=meter,
        )
        identity, count = {"deck": hashlib.sha256(deck.encode()).hexdigest()}, len(start[rows])

        def make() -> np.ndarray:
            folder = cache.file("deck", identity, "")
            folder.mkdir(exist_ok=True)
            path, raw = folder / "deck.cir", folder / "states.raw"
            path.write_text(deck)
            states = run_deck(bench.program, path, raw, count, names, lambda n: report(number, n), running)
            values = _on_grid(states, grid)
            shutil.rmtree(folder)
            return values

        values = cache.array("deck", identity, make)
        report(number, count)
        return values

    with ThreadPoolExecutor(bench.workers) as pool:
        try:
            values = np.concatenate(list(pool.map(run, range(len(decks)))))
        except BaseException:  # Ctrl-C too: no process runs on
            pool.shutdown(cancel_futures=True, wait=False)
            for process in list(running):
                process.kill()
            raise
    return CircuitPaths(values[..., :total] / physical.scale, values[:, -1, total] if meter else None)


def _on_grid(states: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """The values at the times of the grid, which ngspice saves among others; without the time itself."""
    times = states[0, :, 0]
    places = np.abs(times[:, None] - grid).argmin(0)
    missed = float(np.abs(times[places] - grid).max() / grid[0])
    require(missed < 1e-3, f"ngspice saved no state within {missed:.1e} intervals of the times of the grid")
    return states[:, places, 1:]


def start_states(key: Key[Array, ""], computer: Computer, samples: Int[np.ndarray, " n"]) -> np.ndarray:
    """Starts of samples: the uncoupled units in equilibrium, as `generate` draws them for this key."""
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
    """The samples of `generate`, computed by ngspice: equal starts for an equal key, other noise.

    Samples from number `first` on; number n has the seed n + 1 of ngspice's generator. Heat is the energy
    lost along the path, as for every constant computer. The read-out averages the points of the schedule's
    window.
    """
    require(count >= 1, f"count = {count}: ask for 1 sample or more")
    numbers = np.arange(first, first + count)
    start = start_states(key, computer, numbers)
    paths = circuit_paths(physical, start, transient, bench, seeds=numbers + 1, progress=progress).x
    dtype, x, points = computer.bias.dtype, paths[:, -1], paths.shape[1]
    begin, end = (
        jax.tree.map(np.asarray, computer.energy_parts(jnp.asarray(state, dtype))) for state in (start, x)
    )
    uncoupled = np.asarray(computer.uncoupled().energy(jnp.asarray(start, dtype)))
    visible = computer.units.slice("visible")
    window = max(1, round(points * schedule.readout / schedule.t_f))
    film = np.concatenate([start[:film_samples, None], paths[:film_samples]], 1)[..., visible]
    return Samples(
        x=x,
        visible=paths[:, -window:, visible].mean(1),
        heat=np.asarray(begin.total - end.total),
        work=np.asarray(begin.total - uncoupled),
        switching=np.zeros(len(x)),
        start=begin,
        end=end,
        film=np.swapaxes(film, 0, 1),
        film_times=np.linspace(0, schedule.t_f, points + 1),
        kT=float(computer.kT),
        units=computer.units,
    )
