"""Refinement on a computer's own states: convergence, overfitting and gain in quality."""

from __future__ import annotations

import time
from dataclasses import replace

import jax
import numpy as np

from benchmarks.common import keep
from benchmarks.ten_digits import MNIST, subset
from thermogen.control import ModeTable
from thermogen.data import load_split
from thermogen.generation import generate
from thermogen.quality import frechet, load_classifier
from thermogen.seeds import stream
from thermogen.studies.conditional_training import ConditionalSettings, conditional_fields, train_conditional
from thermogen.training import refine_moments, target_moments

EACH, COUNT, SAMPLES, ROUNDS, TURNS = 1000, 1000, 2000, 10, 4
PAPER = ConditionalSettings(amplitude=2.0, kT=0.1, clusters=1, modes=64, dt=0.0125)
WAYS = {
    "end, preconditioned": (PAPER, {}),
    "end, preconditioned, rate 1": (PAPER, {"rate": 1.0}),
    "end, plain": (PAPER, {"preconditioned": False}),
    "along five segments, preconditioned": (replace(PAPER, segments=5), {"along": True}),
    "along five segments, preconditioned, rate 1": (replace(PAPER, segments=5), {"along": True, "rate": 1.0}),
    "along five segments, plain": (replace(PAPER, segments=5), {"along": True, "preconditioned": False}),
    "default with 20 conditions a class": (ConditionalSettings(clusters=20, modes=64), {}),
}
SEEDS = {"end, preconditioned": range(3), "end, plain": range(3)}


def main(images: str = MNIST) -> None:
    """Measure and print: before any round, and after every `ROUNDS` of them."""
    split = load_split(images)
    judge = load_classifier()
    real = judge.classify(split.held_out.grey()).features
    held = split.held_out
    found = {}
    for name, (settings, options) in WAYS.items():
        found[name] = []
        for seed in SEEDS.get(name, range(1)):
            settings = replace(settings, seed=seed)
            small = subset(split.training, EACH, seed)
            begun = time.perf_counter()
            result = train_conditional(small, settings)
            control = result.control
            assert isinstance(control, ModeTable)
            force, others = conditional_fields(small, settings), conditional_fields(held, settings)
            target = target_moments(control, force, result.conditions, settings.schedule)
            means = _means(force, result.conditions)
            theirs = _conditions(others, held.labels, means, np.asarray(control.classes))
            apart = target_moments(control, others, theirs, settings.schedule, means=target.mean)
            rows = []
            for turn in range(TURNS + 1):
                rows.append(_judged(control, settings, judge, real, turn * ROUNDS))
                if turn < TURNS:
                    key = jax.random.fold_in(stream(settings.seed, "refinement"), turn)
                    rounds = {"rounds": ROUNDS, "samples": SAMPLES, "held_out": apart}
                    refined = refine_moments(key, control, target, settings.schedule, **rounds, **options)
                    control = refined.control
                    rows[-1]["mismatch"] = refined.rounds[0].mismatch
                    rows[-1]["held_out"] = refined.rounds[0].held_out
                    last = refined.rounds[-1]
            rows[-1]["mismatch"], rows[-1]["held_out"] = last.mismatch, last.held_out
            found[name].append({"seed": seed, "seconds": time.perf_counter() - begun, "turns": rows})
            for row in rows:
                print(f"{name}, seed {seed}: {row}", flush=True)
            keep("refinement", {"samples": COUNT, "images_a_class": EACH, "a_round": SAMPLES, "ways": found})


def _means(force: np.ndarray, conditions: np.ndarray) -> np.ndarray:
    return np.stack([force[conditions == number].mean(0) for number in range(conditions.max() + 1)])


def _conditions(force: np.ndarray, labels: np.ndarray, means: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The nearest condition of its class for every image."""
    distance = (force**2).sum(1)[:, None] + (means**2).sum(1)[None] - 2 * force @ means.T
    return np.where(labels[:, None] == classes[None], distance, np.inf).argmin(1)


def _judged(control: ModeTable, settings: ConditionalSettings, judge, real: np.ndarray, rounds: int) -> dict:
    key = jax.random.key(settings.seed)
    samples = generate(key, control, COUNT, settings.schedule, film_frames=1, film_samples=1)
    verdict = judge.classify(samples.x)
    return {
        "rounds": rounds,
        "accuracy": float(np.mean(verdict.label == samples.labels)),
        "frechet": frechet(verdict.features, real),
    }


if __name__ == "__main__":
    main()
