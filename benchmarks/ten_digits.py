"""Contribution of each choice of the class-conditional computer: one change at a time, on MNIST."""

from __future__ import annotations

import resource
import time

import numpy as np

from benchmarks.common import keep
from thermogen.data import Images, load_split
from thermogen.quality import frechet, load_classifier
from thermogen.quality.evaluation import share
from thermogen.quality.grey import grey
from thermogen.quality.measures import nearest
from thermogen.studies.conditional_training import ConditionalSettings, conditional_model, train_conditional
from thermogen.studies.evaluation import draw

MNIST = "../shared/data/mnist.npz"
COUNT, EACH = 2000, 2000
PAPER = {"amplitude": 2.0, "kT": 0.1}
LABELS = {"label_units": True}
CHOICES: dict[str, dict] = {
    "default": {},
    "clusters 50": {"clusters": 50},
    "clusters 20": {"clusters": 20},
    "clusters 5": {"clusters": 5},
    "clusters 1": {"clusters": 1},
    "modes 64": {"modes": 64},
    "modes 32": {"modes": 32},
    "kT x 4": {"kT": 2e-3},
    "kT x 1/2": {"kT": 2.5e-4},
    "amplitude 0.28": {"amplitude": 0.28},
    "amplitude 0.8": {"amplitude": 0.8},
    "segments 5": {"segments": 5},
    "ramp 0.4": {"ramp_fraction": 0.4},
    "t_f 5": {"t_f": 5.0},
    "pooled by half": {"pool": 0.5},
    "paper's units, clusters 20": {**PAPER, "clusters": 20},
    "paper's units, clusters 1": {**PAPER, "clusters": 1},
    "matched": {"match": 0.3},
    "matched, share 0.1": {"match": 0.1},
    "matched, share 1": {"match": 1.0},
    "matched, amplitude 0.4": {"match": 0.3, "amplitude": 0.4, "kT": 5e-4},
    "matched, clusters 20": {"match": 0.3, "clusters": 20},
    "label units": LABELS,
    "label units, modes 128": {**LABELS, "modes": 128},
    "label units, modes 8": {**LABELS, "modes": 8},
    "label units, clusters 20": {**LABELS, "clusters": 20},
    "label units, clusters 1": {**LABELS, "clusters": 1},
    "label units, clusters 20, paper's units": {**LABELS, "clusters": 20, **PAPER},
}
SEEDS = {"default": range(5), "matched": range(5)}


def subset(images: Images, each: int, seed: int = 0) -> Images:
    """`each` images of every class: the first for seed 0, the next for seed 1, and so on."""
    part = slice(each * seed, each * (seed + 1))
    labels = np.unique(images.labels)
    chosen = np.sort(np.concatenate([np.flatnonzero(images.labels == label)[part] for label in labels]))
    return Images(images.images[chosen], images.labels[chosen], images.source, images.sha256)


def main(images: str = MNIST) -> None:
    """Measure and print."""
    split = load_split(images)
    small = subset(split.training, EACH)
    judge = load_classifier()
    real = judge.classify(split.held_out.grey()).features
    known = grey(small.grey())
    found = {}
    for name, changes in CHOICES.items():
        rows = []
        for seed in SEEDS.get(name, range(1)):
            settings = ConditionalSettings.of(seed=seed, **changes)
            begun = time.perf_counter()
            result = train_conditional(small, settings)
            seconds = time.perf_counter() - begun
            samples, _ = draw(conditional_model(small, settings, result), COUNT, seed)
            row = {"seed": seed, "training_seconds": seconds, "conditions": len(result.control.classes)}
            visible = samples.units.slice("visible")
            for reading, x in (("raw", samples.x[:, visible]), ("averaged", samples.visible)):
                verdict = judge.classify(x)
                right = verdict.label == samples.labels
                row[reading] = {
                    "accuracy": share(right),
                    "worst": float(min(right[samples.labels == label].mean() for label in range(10))),
                    "frechet": frechet(verdict.features, real),
                }
            row["heat_kT"] = float(samples.heat_kT.mean())
            row["nearest"] = float(np.median(nearest(grey(samples.visible[:500]), known)))
            rows.append(row)
            print(f"{name}, seed {seed}: {row}", flush=True)
            row["peak_megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        found[name] = rows
        keep("ten_digits", {"samples": COUNT, "images_a_class": EACH, "choices": found})


if __name__ == "__main__":
    main()
