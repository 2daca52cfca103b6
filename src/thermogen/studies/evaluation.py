"""Evaluation of a trained computer as an image generator: both read-outs, nulls and ceiling."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from thermogen.control import ConditionSet, Control
from thermogen.data import Split
from thermogen.errors import InputError, require
from thermogen.generation import BATCH, Samples, generate
from thermogen.langevin import Snapshots, sample_uncoupled, simulate
from thermogen.noising import Schedule
from thermogen.quality import Classifier, Reference, controls, evaluate, frechet
from thermogen.seeds import stream
from thermogen.storage.model import Model
from thermogen.studies.measures import distribution, entropy_measures, summary
from thermogen.studies.progress import Stage, silent

FEWEST = 100
"""Fewest samples of an evaluation."""


def reference_of(split: Split, classifier: Classifier) -> Reference:
    """The images to compare with; InputError for a classifier of another image size."""
    return Reference.of(classifier, split.training.grey(), split.held_out.grey(), split.held_out.labels)


def draw(
    model: Model, count: int, seed: int, stage: Stage = silent, checkpoint: Path | None = None
) -> tuple[Samples, float]:
    """Samples of all classes in turn, and the seconds of the generation."""
    begun = time.perf_counter()
    with stage("generating", count) as tick:
        samples = generate(
            stream(seed, "generation"),
            model.computer,
            count,
            model.schedule,
            checkpoint=checkpoint,
            progress=lambda done, total: tick(done * count // total, ""),
        )
    return samples, time.perf_counter() - begun


def evaluate_samples(samples: Samples, reference: Reference) -> dict[str, Any]:
    """Both read-outs of generated samples: 'raw', the state at t_f, and 'averaged' over the last window."""
    visible = samples.units.slice("visible")
    return {
        "raw": evaluate(samples.x[:, visible], reference, samples.labels),
        "averaged": evaluate(samples.visible, reference, samples.labels),
        "heat_kT": distribution(samples.heat_kT),
        "work_kT": distribution(samples.work_kT),
        "switching_kT": summary(samples.switching / samples.kT),
    }


def evaluate_model(
    model: Model,
    reference: Reference,
    count: int,
    seed: int = 0,
    stage: Stage = silent,
    checkpoint: Path | None = None,
) -> tuple[dict[str, Any], Samples]:
    """All measures of a model: images with nulls and ceiling, heat, entropy production, no requested class.

    Raises InputError for less than `FEWEST` samples and for a classifier of another image size.
    """
    require(count >= FEWEST, f"count = {count}: give {FEWEST} samples or more to evaluate")
    samples, seconds = draw(model, count, seed, stage, checkpoint)
    with stage("evaluating", 3) as tick:
        results = {
            **evaluate_samples(samples, reference),
            "entropy": entropy_measures(samples, model.computer.uncoupled()),
            "seconds_per_sample": seconds / count,
        }
        tick(1, "")
        if isinstance(model.computer, ConditionSet):
            results["unconditional"] = evaluate_unconditional(model, reference, count, seed)
        tick(2, "")
        key, idle, times = stream(seed, "generation"), model.computer.uncoupled(), model.schedule
        results["controls"] = controls(
            reference, count, lambda n: generate(key, idle, n, times, film_frames=1, film_samples=1).visible
        )
        tick(3, "")
    return results, samples


def evaluate_unconditional(model: Model, reference: Reference, count: int, seed: int) -> dict[str, Any]:
    """Classes, their entropy and Fréchet distance of count / 5 samples without a requested class."""
    samples = unconditional(model.computer, model.schedule, max(FEWEST, count // 5), seed)
    assert samples is not None
    figures = evaluate(samples.visible, reference)
    return {name: figures[name] for name in ("n", "classes", "entropy", "frechet")}


def unconditional(control: Control, schedule: Schedule, count: int, seed: int) -> Samples | None:
    """Samples without a requested class: conditions come by weight. None if there are no conditions."""
    if not isinstance(control, ConditionSet):
        return None
    key = stream(seed, "unconditional")
    drawn = control.draw(key, np.arange(count))
    return generate(key, control, count, schedule, conditions=drawn, film_frames=1, film_samples=1)


def quality_in_time(
    model: Model, reference: Reference, count: int, seed: int = 0, points: int = 10
) -> list[dict[str, float]]:
    """Accuracy and Fréchet distance of the states in time: t, accuracy, frechet.

    The runs continue to 2 t_f with the couplings of t_f. Raises InputError for a model without conditions.
    """
    control, schedule = model.computer, model.schedule
    if not isinstance(control, ConditionSet):
        raise InputError("quality in time needs conditions: see train-conditional")
    labels = np.resize(control.labels, count)
    key = stream(seed, "generation")
    start_key, path_key = jax.random.split(key)
    chosen = control.draw(key, np.arange(count), labels)
    every = max(1, schedule.steps // points)
    visible = control.units.slice("visible")
    states: list[np.ndarray] = []
    for first in range(0, count, BATCH):
        numbers = np.arange(first, min(first + BATCH, count))
        film = simulate(
            path_key,
            control.select(chosen[numbers]),
            sample_uncoupled(start_key, control.uncoupled(), jax.numpy.asarray(numbers)),
            steps=2 * every * points,
            dt=schedule.dt,
            observers={"film": Snapshots()},
            every=every,
            samples=jax.numpy.asarray(numbers),
        ).records["film"]
        states.append(np.asarray(film[..., visible]))
    return [
        {"t": float(number * every * schedule.dt), **brief(x, reference, labels)}
        for number, x in enumerate(np.concatenate(states, 1))
    ]


def brief(images: np.ndarray, reference: Reference, labels: np.ndarray) -> dict[str, float]:
    """Accuracy and Fréchet distance alone. labels: the requested classes."""
    seen = reference.classifier.classify(images)
    accuracy = float(np.mean(seen.label == labels))
    return {"accuracy": accuracy, "frechet": frechet(seen.features, reference.features)}
