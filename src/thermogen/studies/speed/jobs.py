"""Whole jobs, timed: exact training of three digits, and their samples from start to read-out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from thermogen.generation import generate, suitable_dt
from thermogen.langevin import Integrator, named_integrator
from thermogen.seeds import stream
from thermogen.studies.experiment import prepare
from thermogen.studies.progress import Stage, silent
from thermogen.studies.settings import Settings
from thermogen.studies.speed.timing import seconds_of
from thermogen.training import Rule, solve, statistics, train

PIXELS = 784
PUBLISHED = {"sample": 5.6, "training": 1540.0, "cycle": 15.4}
"""Seconds of the published program's loops, retyped and timed on one core of a machine with two."""


def training(hidden: int) -> dict[str, float]:
    """Seconds of exact training of three digits, of a cycle of sampled training, and of compiling."""
    experiment = prepare(Settings.of("exact", hidden=hidden))
    computer, fields, schedule = experiment.computer, experiment.fields, experiment.schedule
    sums = statistics(computer, fields, schedule)[0]

    def solution():
        return solve(computer, sums, visible_biases=True).computer

    def cycle():
        key = stream(experiment.settings.seed, "training")
        return train(key, computer, fields, schedule, Rule(), cycles=3, validate_every=100).computer

    cold, cold_cycle = seconds_of(solution), seconds_of(cycle)
    summing = seconds_of(lambda: statistics(computer, fields, schedule)[0].units)
    solving, cycles = seconds_of(solution), seconds_of(cycle)
    return {
        "statistics": summing,
        "solution": solving,
        "solution_compile_s": max(0.0, cold - solving),
        "cycle": cycles / 3,
        "cycle_compile_s": max(0.0, cold_cycle - cycles),
    }


def sampling(hidden: int, count: int, stage: Stage = silent) -> dict[str, dict[str, Any]]:
    """Milliseconds a sample of three digits, with full and low-rank couplings, published and chosen steps.

    Training is exact. The low-rank couplings change the images by less than 1e-5. Chosen steps bias the heat
    by less than 1 % (`suitable_dt`). The shortest of three calls, without compiling.
    """
    settings = Settings.of("exact", hidden=hidden)
    experiment = prepare(settings)
    full = experiment.train().computer
    thin = prepare(replace(settings, compress=1e-4)).train().computer
    key = stream(settings.seed, "generation")
    euler, heun = named_integrator("euler"), named_integrator("heun")
    weak, narrow = named_integrator("heun", "three-point"), named_integrator("heun", products="bfloat16")
    jobs: list[tuple[str, Any, Integrator, bool]] = [
        ("full, published step", full, euler, False),
        ("full", full, heun, True),
        ("full, bfloat16", full, narrow, True),
        ("low rank, published step", thin, euler, False),
        ("low rank", thin, heun, True),
        ("low rank, weak noise", thin, weak, True),
    ]
    rows = {}
    with stage("samples", len(jobs)) as tick:
        for number, (name, control, method, chosen) in enumerate(jobs):
            tick(number, name)
            dt = suitable_dt(key, control, experiment.schedule, method) if chosen else experiment.schedule.dt
            schedule = replace(experiment.schedule, dt=dt)
            n = count if name != "full, published step" else max(1, count // 4)
            heats: list[float] = []

            def work(control=control, method=method, schedule=schedule, n=n, heats=heats):
                samples = generate(key, control, n, schedule, integrator=method, film_frames=1)
                heats.append(float(samples.heat_kT.mean()))
                return samples.x

            cold = seconds_of(work)
            seconds = min(seconds_of(work) for _ in range(3))
            rows[name] = {
                "dt": dt,
                "steps": schedule.steps,
                "n": n,
                "ms": 1e3 * seconds / n,
                "samples_per_s": n / seconds,
                "published_over_this": PUBLISHED["sample"] * n / seconds,
                "heat_kT": heats[0],
                "compile_s": max(0.0, cold - seconds),
            }
    return rows
