"""A trained computer judged as image generators are: both read-outs, nulls and ceiling beside them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from thermogen.control import ConditionSet, Control
from thermogen.data import Split
from thermogen.errors import require
from thermogen.generation import BATCH, Samples, generate
from thermogen.langevin import Snapshots, sample_uncoupled, simulate
from thermogen.noising import Schedule
from thermogen.quality import Classifier, Reference, controls, evaluate, frechet
from thermogen.seeds import stream
from thermogen.storage.model import Model
from thermogen.studies.measures import distribution, entropy_measures, summary
from thermogen.studies.progress import Stage, silent

FEWEST = 100
"""Samples below which a judgement says too little."""


def reference_of(split: Split, classifier: Classifier) -> Reference:
    """The images to compare with; InputError if the classifier knows another image size."""
    return Reference.of(classifier, split.training.grey(), split.held_out.grey(), split.held_out.labels)


def draw(
    model: Model, count: int, seed: int, stage: Stage = silent, checkpoint: Path | None = None
) -> tuple[Samples, float]:
    """Samples of all classes in turn, and the seconds it took."""
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
    """All measures of a model: images with nulls and ceiling, heat, entropy production, drawing unasked.

    Raises InputError for less than `FEWEST` samples and for a classifier of another image size.
    """
    require(count >= FEWEST, f"count = {count}: give {FEWEST} samples or more to judge by")
    samples, seconds = draw(model, count, seed, stage, checkpoint)
    with stage("judging", 3) as tick:
        results = {
            **evaluate_samples(samples, reference),
            "entropy": entropy_measures(samples, model.computer.uncoupled()),
            "seconds_per_sample": seconds / count,
        }
        tick(1, "")
        free = unconditional(model.computer, model.schedule, max(FEWEST, count // 5), seed)
        if free is not None:
            found = evaluate(free.visible, reference)
            results["unconditional"] = {name: found[name] for name in ("n", "classes", "entropy", "frechet")}
        tick(2, "")
        results["controls"] = controls(reference, count, lambda n: _untrained(model, n, seed))
        tick(3, "")
    return results, samples


def unconditional(control: Control, schedule: Schedule, count: int, seed: int) -> Samples | None:
    """Samples of which no class was asked for: conditions come by weight. None if there are no conditions."""
    if not isinstance(control, ConditionSet):
        return None
    key = stream(seed, "unconditional")
    drawn = control.draw(key, np.arange(count))
    return generate(key, control, count, schedule, conditions=drawn, film_frames=1, film_samples=1)


def _untrained(model: Model, count: int, seed: int) -> np.ndarray:
    """What the same units give without couplings."""
    key = stream(seed, "generation")
    drawn = generate(key, model.computer.uncoupled(), count, model.schedule, film_frames=1, film_samples=1)
    return drawn.visible


def quality_in_time(
    model: Model, reference: Reference, count: int, seed: int = 0, points: int = 10
) -> list[dict[str, float]]:
    """Accuracy and Fréchet distance of states on the way: t, accuracy, frechet. For conditioned controls.

    The runs go on to 2 t_f under the couplings in force at t_f, to show what waiting would bring.
    """
    control = model.computer
    require(
        isinstance(control, ConditionSet),
        "quality in time needs conditions: see train-conditional",
    )
    assert isinstance(control, ConditionSet)
    schedule = model.schedule
    labels = np.resize(control.labels, count)
    key = stream(seed, "generation")
    start_key, path_key = jax.random.split(key)
    chosen = control.draw(key, np.arange(count), labels)
    every = max(1, schedule.steps // points)
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
        states.append(np.asarray(film[..., control.units.slice("visible")]))
    whole = np.concatenate(states, 1)
    return [
        {"t": float(number * every * schedule.dt), **brief(x, reference, labels)}
        for number, x in enumerate(whole)
    ]


def brief(images: np.ndarray, reference: Reference, asked: np.ndarray) -> dict[str, float]:
    """Accuracy and Fréchet distance alone."""
    verdict = reference.classifier.classify(images)
    return {
        "accuracy": float(np.mean(verdict.label == asked)),
        "frechet": frechet(verdict.features, reference.features),
    }
