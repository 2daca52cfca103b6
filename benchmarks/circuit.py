"""Compare ngspice with thermogen: paths, averages, digits, and the largest deck that ngspice finishes."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from sklearn.datasets import load_digits

from benchmarks.common import keep
from thermogen.computer import Computer
from thermogen.data import load_split
from thermogen.generation import generate
from thermogen.hardware import (
    CircuitBench,
    Transient,
    circuit_paths,
    generate_in_circuit,
    record,
    to_physical,
)
from thermogen.hardware.spice.circuit import start_states
from thermogen.hardware.spice.ngspice import version
from thermogen.hardware.spice.reference_path import piecewise_noise, reference_path
from thermogen.hardware.spice.verify import energy_lost, ensembles, pathwise, random_computer
from thermogen.langevin import EulerMaruyama, StochasticHeun
from thermogen.quality import load_classifier
from thermogen.report.films import write_png_grid
from thermogen.studies.circuit import compare
from thermogen.studies.circuit_model import make_circuit_model
from thermogen.studies.conditional_training import ConditionalSettings, conditional_model, train_conditional
from thermogen.studies.experiment import prepare
from thermogen.studies.measures import interval, summary
from thermogen.studies.settings import Settings

FOLDER = Path("runs/benchmark-circuit")
"""Decks that are done, so that an interrupted benchmark goes on."""
SEEDS = range(5)
TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6)
IMAGES = Path("docs/images")


def paths(bench: CircuitBench) -> list[dict[str, Any]]:
    """Compare one path in both engines: 2, 16 and 96 units, five computers each, at four tolerances."""
    rows = []
    for units in (2, 16, 96):
        for noisy in (True, False):
            found = []
            for seed in SEEDS:
                key = jax.random.fold_in(jax.random.key(seed), units)
                one = random_computer(key, units)
                found.append(pathwise(key, one, platform(), bench, noisy=noisy, tolerances=TOLERANCES))
            for number, reltol in enumerate(TOLERANCES):
                runs = [one["runs"][number] for one in found]
                heat = [abs(run["metered_kT"] - one["heat_kT"]) for run, one in zip(runs, found, strict=True)]
                rows.append(
                    {
                        "units": units,
                        "noise": noisy,
                        "reltol": reltol,
                        "largest_difference": max(run["difference"] for run in runs),
                        "median_difference": float(np.median([run["difference"] for run in runs])),
                        "largest_meter_error_kT": max(heat),
                        "seconds": float(np.median([run["seconds"] for run in runs])),
                        "n": len(runs),
                    }
                )
                print(rows[-1], flush=True)
    return rows


def averages(bench: CircuitBench) -> list[dict[str, Any]]:
    """Means, variances, covariances and heat over many paths: 16 and 96 units."""
    rows = []
    for units, count in ((16, 8000), (96, 300)):
        key = jax.random.fold_in(jax.random.key(0), units)
        rows.append(ensembles(key, random_computer(key, units), platform(), bench, count))
        print(rows[-1], flush=True)
    return rows


def held(bench: CircuitBench) -> list[dict[str, Any]]:
    """Effect of piecewise-constant noise: heat and variance of ngspice against thermogen at a small step."""
    key = jax.random.fold_in(jax.random.key(0), 16)
    one = random_computer(key, 16)
    rows = []
    for step in (0.25, 0.1, 0.05):
        found = ensembles(key, one, platform(), bench, 4000, noise_step=step)
        rows.append({"noise_step": step, "heat_kT": found["heat_kT"], "z": found["z"], "n": 4000})
        print(rows[-1], flush=True)
    return rows


def dense(bench: CircuitBench) -> list[dict[str, Any]]:
    """Seconds of one path with all pairs coupled."""
    rows = []
    for units in (48, 96, 192, 288):
        key = jax.random.fold_in(jax.random.key(0), units)
        one = random_computer(key, units)
        begun = time.perf_counter()
        start = start_states(key, one, np.arange(1))
        plan = Transient(points=1, reltol=1e-3)
        circuit_paths(to_physical(one, platform()), start, plan, bench, seeds=np.ones(1, int))
        rows.append({"units": units, "seconds": time.perf_counter() - begun})
        print(rows[-1], flush=True)
    return rows


def engines(count: int = 400) -> list[dict[str, Any]]:
    """Heat of the 28 x 28 computer by thermogen: integrators, steps and piecewise-constant noise."""
    settings = Settings.of("exact", compress=1e-3, dt=5e-3)
    experiment = prepare(settings)
    computer, rows = experiment.train().computer, []
    assert isinstance(computer, Computer)
    key = jax.random.key(5)
    for name, dt, method in (
        ("Euler", 5e-3, EulerMaruyama()),
        ("Heun", 1e-2, StochasticHeun()),
        ("Heun", 2.5e-3, StochasticHeun()),
    ):
        schedule = replace(experiment.schedule, dt=dt)
        heat = generate(key, computer, count, schedule, integrator=method).heat_kT
        rows.append({"engine": name, "dt": dt, **summary(heat)})
        print(rows[-1], flush=True)
    for step in (0.05, 0.025):
        parts = []
        for numbers in np.split(np.arange(count), count // 50):
            start, steps = start_states(key, computer, numbers), round(2.5 / step)
            noise = piecewise_noise(key, numbers, steps, computer.units.total)
            end = reference_path(computer, start, noise, step, steps, substeps=10)[:, -1]
            parts.append(energy_lost(computer, start, end))
        rows.append({"engine": "held noise", "dt": step, **summary(np.concatenate(parts))})
        print(rows[-1], flush=True)
    return rows


def through_nodes(bench: CircuitBench) -> list[dict[str, Any]]:
    """Seconds of one path through summing nodes: three digits, and ten classes with 64 modes."""
    settings = Settings.of("exact", compress=1e-3, dt=5e-3)
    experiment = prepare(settings)
    three = make_circuit_model(experiment.model(experiment.train()), record("cmos-1fF"))
    images = load_split(None).training
    modal = ConditionalSettings.of(modes=64)
    ten = make_circuit_model(
        conditional_model(images, modal, train_conditional(images, modal)), record("cmos-1fF"), label=3
    )
    rows = []
    for circuit in (three, ten):
        begun = time.perf_counter()
        start = start_states(jax.random.key(0), circuit.computer, np.arange(1))
        plan = Transient(points=1, reltol=1e-3)
        seeds = np.full(1, int(time.time()) % 2**31)  # a deck that was not run before
        circuit_paths(circuit.physical, start, plan, bench, seeds=seeds)
        rows.append({"units": len(circuit.physical.bias), "couplers": circuit.physical.couplings.count(),
                     "seconds": time.perf_counter() - begun})  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def three_digits(bench: CircuitBench, small: bool) -> dict[str, Any]:
    """Digits 0, 1, 2 by ngspice and by thermogen, five trainings: 8 x 8 pixels, or 28 x 28 low-rank."""
    rows = []
    for seed in SEEDS:
        if small:
            settings = Settings.of("exact", images=str(digits8()), hidden=32, dt=5e-3, seed=seed)
        else:
            settings = Settings.of("exact", compress=1e-3, dt=5e-3, seed=seed)
        experiment = prepare(settings)
        model = experiment.model(experiment.train())
        circuit = make_circuit_model(model, record("cmos-1fF"))
        begun = time.perf_counter()
        results, theirs, _, _ = compare(circuit, bench, 100, seed, 0.05)
        rows.append(
            {
                "seed": seed,
                "heat_kT": results["heat_kT"],
                "correlation": results["prototype_correlation"],
                "pathwise": [run["difference"] for run in results["pathwise"]["runs"]],
                "agrees": results["agrees"],
                "couplers": model.computer.couplings.count(),
                "seconds": time.perf_counter() - begun,
            }
        )
        print(rows[-1], flush=True)
        if seed == 0:
            name = "circuit-8x8.png" if small else "circuit-28x28.png"
            write_png_grid(IMAGES / name, theirs.visible[:50].astype(np.float32), model.image_shape)
    return {
        "rows": rows,
        **{
            f"{kind}_{side}": interval([row[kind][side]["mean"] for row in rows])
            for kind in ("heat_kT", "correlation")
            for side in ("ngspice", "thermogen")
        },
        "heat_difference_kT": interval(
            [row["heat_kT"]["ngspice"]["mean"] - row["heat_kT"]["thermogen"]["mean"] for row in rows]
        ),
    }


def digits8() -> Path:
    """Write the first image of 0, 1 and 2 of scikit-learn's digits to an image file."""
    found = load_digits()
    chosen = [int(np.flatnonzero(found.target == digit)[0]) for digit in range(3)]
    path = FOLDER / "digits8.npz"
    np.savez(path, images=found.images[chosen].astype(np.float32), labels=found.target[chosen])
    return path


def ten_digits(bench: CircuitBench, each: int = 4) -> dict[str, Any]:
    """Generate and classify every digit: 784 units with shared modes, a deck for each sample."""
    images = load_split(None).training
    settings = ConditionalSettings.of(modes=64)
    model = conditional_model(images, settings, train_conditional(images, settings))
    judge, drawn, ours, asked, heat = load_classifier(), [], [], [], []
    begun = time.perf_counter()
    for label in range(10):
        for number in range(each):
            circuit = make_circuit_model(model, record("cmos-1fF"), label=label, seed=100 * label + number)
            key = jax.random.key(number)
            plan = Transient(t_f=circuit.schedule.t_f)
            samples = generate_in_circuit(
                key,
                circuit.computer,
                circuit.physical,
                1,
                circuit.schedule,
                plan,
                bench,
                first=each * label + number,
            )
            same = generate(key, circuit.computer, 1, circuit.schedule)
            drawn.append(samples.visible[0])
            ours.append(same.visible[0])
            heat.append((float(samples.heat_kT[0]), float(same.heat_kT[0])))
            asked.append(label)
        print(label, flush=True)
    theirs, own = (np.array(one, np.float32) for one in (drawn, ours))
    rows = theirs.reshape(10, each, -1).swapaxes(0, 1).reshape(10 * each, -1)
    write_png_grid(IMAGES / "circuit-ten.png", rows, (28, 28))
    right = [int(np.sum(judge.classify(one).label == np.array(asked))) for one in (theirs, own)]
    heats = np.array(heat)
    return {
        "n": len(asked),
        "right": {"ngspice": right[0], "thermogen": right[1]},
        "heat_kT": {"ngspice": float(heats[:, 0].mean()), "thermogen": float(heats[:, 1].mean())},
        "heat_difference_kT": {
            "mean": float(np.diff(heats).mean()),
            "sem": float(np.diff(heats).std(ddof=1) / len(heats) ** 0.5),
        },
        "seconds_per_sample": (time.perf_counter() - begun) / len(asked),
        "couplers": 784 * 64 + 64 * 65 // 2,
    }


def platform():
    """The platform: voltages on femtofarad capacitors."""
    return record("cmos-1fF").platform()


def main() -> None:
    """Measure and store all figures."""
    bench = CircuitBench.at(FOLDER)
    IMAGES.mkdir(exist_ok=True)
    keep(
        "circuit",
        {
            "ngspice": version(bench.program),
            "paths": paths(bench),
            "averages": averages(bench),
            "held": held(bench),
            "dense": dense(bench),
            "8x8": three_digits(bench, small=True),
            "28x28": three_digits(bench, small=False),
            "ten": ten_digits(bench),
            "engines": engines(),
            "through nodes": through_nodes(bench),
        },
    )
