"""Shared functions of the benchmarks: trained computers, intervals and stored figures."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from thermogen.generation import Samples, generate
from thermogen.quality import PrototypeScores, prototype_scores
from thermogen.seeds import stream
from thermogen.storage.model import versions
from thermogen.studies.experiment import prepare
from thermogen.studies.settings import Settings
from thermogen.studies.speed.timing import in_turns, seconds_of

RESULTS = Path(__file__).parent / "results"


def keep(name: str, figures: dict[str, Any]) -> None:
    """Write figures with versions and machine to benchmarks/results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    content = {**figures, "versions": versions(), "machine": {"cpu": platform.machine(), "cores": _cores()}}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


def trained_and_sampled(settings: Settings, count: int) -> tuple[Samples, PrototypeScores, dict[str, Any]]:
    """Train with `settings`, generate `count` samples and compare them with the prototypes."""
    experiment = prepare(settings)
    result = experiment.train()
    samples = generate(stream(settings.seed, "generation"), result.computer, count, experiment.schedule)
    scores = prototype_scores(samples.visible, experiment.images.standardised())
    row = {
        "seed": settings.seed,
        "heat_kT": float(samples.heat_kT.mean()),
        "heat_sd": float(samples.heat_kT.std(ddof=1)),
        "correlation": float(scores.best.mean()),
        "counts": scores.counts.tolist(),
        "validation_loss": result.validation[-1].tolist(),
        "train_seconds": result.seconds,
        "settings": asdict(settings),
    }
    return samples, scores, row


def best_of(work: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Smallest, median and largest wall seconds of `repeats` calls."""
    times = [seconds_of(work) for _ in range(repeats)]
    return {"min": min(times), "median": float(np.median(times)), "max": max(times)}


def medians(works: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median wall seconds of several functions, in turns so that all see the same load."""
    times, _ = in_turns(works, repeats)
    return {name: float(np.median(values)) for name, values in times.items()}
