"""Imperfect devices: run with couplings of a perfect device, and with exact training for the defect map.

Imperfections: a share of dead couplers in both directions; J2, J4 and mobility of every unit times exp(s z),
with independent z. Five devices. All computers of a device share the noise of samples and paths.
"""

from __future__ import annotations

import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.common import keep
from thermogen.computer import Computer, make_computer
from thermogen.couplings import from_mask
from thermogen.generation import generate
from thermogen.quality import prototype_scores
from thermogen.studies.experiment import Experiment, prepare
from thermogen.studies.measures import interval
from thermogen.studies.settings import Settings
from thermogen.training import path_loss, solve, statistics, train

STEP = 5e-3
LEVELS = {
    "5 % dead, 10 % mismatch": (0.05, 0.1),
    "20 % dead, 20 % mismatch": (0.2, 0.2),
    "40 % dead, 30 % mismatch": (0.4, 0.3),
}
WORST = "40 % dead, 30 % mismatch"
APART = ("dead", "J2", "J4", "mobility")
AMPLITUDES, FACTORS = (2.5, 2.75, 3.0), (1.02, 1.04, 1.06)
FIGURES = ("correlation", "heat_kT", "loss")


def defective(
    perfect: Computer, dead: float, mismatch: float, seed: int, only: str | None = None
) -> Computer:
    """An imperfect device without couplings; `only` one of `APART`."""
    random = np.random.default_rng(seed)
    total = perfect.units.total
    broken = np.triu(random.random((total, total)) < dead)
    factors = np.exp(mismatch * random.normal(size=(3, total)))
    if only not in (None, "dead"):
        broken[:] = False
    values = {
        name: np.broadcast_to(getattr(perfect, name), total) * (factor if only in (None, name) else 1.0)
        for name, factor in zip(("J2", "J4", "mobility"), factors, strict=True)
    }
    mask = np.asarray(perfect.couplings.mask()) & ~(broken | broken.T)
    return make_computer(from_mask(perfect.units, mask), kT=float(perfect.kT), **values)


def moved(trained: Computer, to: Computer) -> Computer:
    """Couplings and biases of one computer on another device, without dead couplers."""
    values = to.couplings.with_matrix(trained.couplings.matrix()), trained.bias
    return eqx.tree_at(lambda c: (c.couplings, c.bias), to, values)


def likeness(experiment: Experiment, computer: Computer, seed: int, count: int) -> dict[str, float]:
    """Mean best correlation with a prototype, share above 0.7, heat in kT."""
    samples = generate(jax.random.key(seed), computer, count, experiment.schedule)
    scores = prototype_scores(samples.visible, experiment.images.standardised())
    return {
        "correlation": float(scores.best.mean()),
        "above_0.7": float(np.mean(scores.best > 0.7)),
        "heat_kT": float(samples.heat_kT.mean()),
    }


def rescaled(damaged: Computer, dead: float) -> Computer:
    """Correction without a map: remaining couplings times 1 / (1 - share of dead ones)."""
    matrix = damaged.couplings.matrix() / (1 - dead)
    return eqx.tree_at(lambda c: c.couplings, damaged, damaged.couplings.with_matrix(matrix))


def measured(
    experiment: Experiment, computer: Computer, seed: int, count: int, paths: int
) -> dict[str, float]:
    """`likeness`, and the loss on the device's own noising paths."""
    losses = [
        path_loss(
            jax.random.key(100 + seed),
            computer,
            experiment.fields,
            experiment.schedule,
            first + jnp.arange(20),
        )
        for first in range(0, paths, 20)
    ]
    loss = float(np.concatenate([np.asarray(one, float) for one in losses]).mean())
    return {**likeness(experiment, computer, seed, count), "loss": loss}


def retrained(experiment: Experiment, on: Computer) -> tuple[Computer, dict[str, Any]]:
    """Exact training for a device, with its cost."""
    begun = time.perf_counter()
    known = statistics(on, experiment.fields, experiment.schedule)[0]
    took = time.perf_counter() - begun
    result = solve(on, known, visible_biases=experiment.rule.visible_biases)
    return result.computer, {
        "statistics_seconds": took,
        "solution_seconds": result.seconds,
        "iterations": result.iterations,
    }


def compared(
    rows: list[dict[str, Any]], repaired: str = "repaired", optimum: str = "repaired"
) -> dict[str, Any]:
    """Means over the devices, loss, and recovered share, with intervals.

    Excess loss is relative to `optimum`, the computer trained exactly for the device, as a share of what
    training gains over no couplings.
    """
    found: dict[str, Any] = {}
    for name in (*FIGURES, "above_0.7"):
        found[name] = {
            who: interval([row[who][name] for row in rows]) for who in ("clean", "damaged", repaired)
        }

    def difference(a: str, b: str, name: str) -> np.ndarray:
        return np.array([row[a][name] - row[b][name] for row in rows])

    lost, back = (difference(who, "damaged", "correlation") for who in ("clean", repaired))
    learnt = difference("idle", optimum, "loss")
    found |= {
        "correlation lost": interval(lost),
        "correlation back": interval(back),
        "fraction recovered": interval(back / lost),
    }
    for who in ("damaged", repaired):
        if who != optimum:
            excess = difference(who, optimum, "loss")
            found[f"excess loss, {who}"] = interval(excess)
            found[f"excess loss of what is learnt, {who}"] = interval(excess / learnt)
    return found


def said(name: str, found: dict[str, Any]) -> None:
    """A few lines of figures."""

    def of(one: dict[str, float], digits: int = 4) -> str:
        return f"{one['mean']:.{digits}f} [{one['low']:.{digits}f}, {one['high']:.{digits}f}]"

    print(name)
    for key in ("correlation", "heat_kT", "loss"):
        row = ", ".join(f"{who} {of(one, 1 if key == 'heat_kT' else 4)}" for who, one in found[key].items())
        print(f"    {key}: {row}", flush=True)
    for key, one in found.items():
        if "mean" in one:
            print(f"    {key}: {of(one)}", flush=True)


def exact(count: int, paths: int, seeds: int) -> dict[str, Any]:
    """The exactly trained computer at every level, and with each imperfection alone."""
    experiment = prepare(Settings.of("exact", dt=STEP))
    clean, _ = retrained(experiment, experiment.computer)
    whole = [measured(experiment, clean, seed, count, paths) for seed in range(seeds)]
    found: dict[str, Any] = {}
    for level, (dead, mismatch) in LEVELS.items():
        rows = []
        for seed in range(seeds):
            bare = defective(experiment.computer, dead, mismatch, seed)
            repaired, took = retrained(experiment, bare)
            damaged = moved(clean, bare)
            computers = {
                "damaged": damaged,
                "rescaled": rescaled(damaged, dead),
                "repaired": repaired,
                "idle": bare,
            }
            rows.append(
                {name: measured(experiment, one, seed, count, paths) for name, one in computers.items()}
                | {"clean": whole[seed], "took": took}
            )
            print(
                level,
                seed,
                took,
                {k: v["correlation"] for k, v in rows[-1].items() if k != "took"},
                flush=True,
            )
        found[level] = compared(rows) | {
            "rescaled": compared(rows, "rescaled"),
            "took": {name: [row["took"][name] for row in rows] for name in rows[0]["took"]},
            "chips": rows,
        }
        said(level, found[level])
        keep("repair", {"samples": count, "paths": paths, "dt": STEP, "exact": found})
    dead, mismatch = LEVELS[WORST]
    apart: dict[str, Any] = {}
    for only in APART:
        lost = []
        for seed in range(seeds):
            alone = moved(clean, defective(experiment.computer, dead, mismatch, seed, only))
            lost.append(whole[seed]["correlation"] - likeness(experiment, alone, seed, count)["correlation"])
        apart[only] = interval(lost)
        print(f"{WORST}: lost by {only} alone: {apart[only]}", flush=True)
    found[WORST]["lost by each damage alone"] = apart
    return found


def louder(count: int, seeds: int) -> dict[str, Any]:
    """At the lowest level: stronger fields, and couplings and biases times a factor."""
    experiment = prepare(Settings.of("exact", dt=STEP))
    clean, _ = retrained(experiment, experiment.computer)
    dead, mismatch = next(iter(LEVELS.values()))
    rows: list[dict[str, Any]] = []
    for seed in range(seeds):
        bare = defective(experiment.computer, dead, mismatch, seed)
        tried = {"clean": clean, "damaged": moved(clean, bare)}
        for amplitude in AMPLITUDES:
            other = prepare(Settings.of("exact", dt=STEP, amplitude=amplitude))
            tried[f"fields {amplitude:g}"] = retrained(other, bare)[0]
        repaired = retrained(experiment, bare)[0]
        for factor in FACTORS:
            values = repaired.couplings.with_matrix(factor * repaired.couplings.matrix())
            tried[f"times {factor:g}"] = eqx.tree_at(
                lambda c: (c.couplings, c.bias), repaired, (values, factor * repaired.bias)
            )
        rows.append({name: likeness(experiment, one, seed, count) for name, one in tried.items()})
        print(seed, {name: one["correlation"] for name, one in rows[-1].items()}, flush=True)
    return {"samples": count, **of_tries(rows), "chips": rows}


def of_one_mobility(count: int, seeds: int) -> dict[str, Any]:
    """At the lowest level with one mobility for all units, which couplings can correct."""
    experiment = prepare(Settings.of("exact", dt=STEP))
    clean, _ = retrained(experiment, experiment.computer)
    dead, mismatch = next(iter(LEVELS.values()))
    rows: list[dict[str, Any]] = []
    for seed in range(seeds):
        bare = defective(experiment.computer, dead, mismatch, seed)
        bare = eqx.tree_at(lambda c: c.mobility, bare, experiment.computer.mobility)
        tried = {"clean": clean, "damaged": moved(clean, bare), "repaired": retrained(experiment, bare)[0]}
        rows.append({name: likeness(experiment, one, seed, count) for name, one in tried.items()})
        print(seed, {name: one["correlation"] for name, one in rows[-1].items()}, flush=True)
    return {"samples": count, **of_tries(rows), "chips": rows}


def of_tries(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Recovered share of each trial and its heat relative to the perfect device, with intervals."""
    found: dict[str, Any] = {}
    lost = np.array([row["clean"]["correlation"] - row["damaged"]["correlation"] for row in rows])
    for name in [name for name in rows[0] if name not in ("clean", "damaged")]:
        back = [row[name]["correlation"] - row["damaged"]["correlation"] for row in rows]
        found[name] = {
            "fraction recovered": interval(np.array(back) / lost),
            "heat over clean": interval([row[name]["heat_kT"] / row["clean"]["heat_kT"] for row in rows]),
        }
    return found


def descended(count: int, paths: int, seeds: int, cycles: int = 100) -> dict[str, Any]:
    """The published computer, trained by descent; retrained by descent and by exact training."""
    experiment = prepare(Settings(dt=STEP, cycles=cycles))
    rows = []
    for seed in range(seeds):
        key = jax.random.key(200 + seed)

        def descent(computer: Computer, key=key) -> Computer:
            given = (experiment.fields, experiment.schedule, experiment.rule)
            (trained,) = train(key, computer, *given, cycles=cycles).computer.computers()
            return trained

        bare = defective(experiment.computer, *LEVELS[WORST], seed)
        clean = descent(experiment.computer)
        computers = {
            "clean": clean,
            "damaged": moved(clean, bare),
            "repaired by descent": descent(bare),
            "repaired exactly": retrained(experiment, bare)[0],
            "idle": bare,
        }
        rows.append({name: measured(experiment, one, seed, count, paths) for name, one in computers.items()})
        print(WORST, "descent", seed, {k: v["correlation"] for k, v in rows[-1].items()}, flush=True)
    found = {
        name: compared(rows, name, "repaired exactly") for name in ("repaired by descent", "repaired exactly")
    }
    for name, one in found.items():
        said(f"descent, {WORST}, {name}", one)
    return {WORST: found | {"chips": rows}}


def main(count: int = 300, paths: int = 60, seeds: int = 5) -> None:
    """Measure and print."""
    found: dict[str, Any] = {"samples": count, "paths": paths, "dt": STEP}
    found["exact"] = exact(count, paths, seeds)
    keep("repair", found)
    found["descent"] = descended(count, paths, seeds)
    keep("repair", found)
    found["louder"] = louder(2 * count, seeds)
    found["one mobility"] = of_one_mobility(2 * count, seeds)
    keep("repair", found)


if __name__ == "__main__":
    main()
