"""All measures of a set of generated images at once, the same for every generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thermogen.errors import InputError, require
from thermogen.quality.classifier import Classifier
from thermogen.quality.grey import grey
from thermogen.quality.measures import (
    diversity,
    entropy,
    frechet,
    jackknife,
    manifolds,
    nearest,
    sharpness,
)

NOISE = 0.2
"""Standard deviation of the thermal noise, in units of ink, that the noisy ceiling adds to real images."""
_COPY = 1.0
"""Percentile of the held-out images' distances to training below which an image counts as a copy."""


@dataclass(frozen=True)
class Reference:
    """Real images to compare with, as grey images: those that were learnt from, and held-out ones.

    distance: of each held-out image to the nearest training image (root mean square pixel difference).
    """

    classifier: Classifier
    training: Float[np.ndarray, "m pixels"]
    held_out: Float[np.ndarray, "n pixels"]
    labels: Int[np.ndarray, " n"]
    features: Float[np.ndarray, "n d"]
    distance: Float[np.ndarray, " n"]

    @classmethod
    def of(
        cls,
        classifier: Classifier,
        training: Float[np.ndarray, "m pixels"],
        held_out: Float[np.ndarray, "n pixels"],
        labels: Int[np.ndarray, " n"],
    ) -> Reference:
        """From raw images; InputError if there are too few or the classifier knows another size."""
        require(
            len(held_out) > 20,
            f"{len(held_out)} held-out images: give an image set with 21 or more to compare with",
        )
        if training.shape[1] != held_out.shape[1]:
            raise InputError(
                f"training images of {training.shape[1]} pixels, held-out ones of {held_out.shape[1]}: "
                "give one image set"
            )
        features = classifier.classify(held_out).features
        known, others = grey(training), grey(held_out)
        return cls(classifier, known, others, labels, features, nearest(others, known))

    @property
    def classes(self) -> list[int]:
        """Classes among the held-out images."""
        return [int(label) for label in np.unique(self.labels)]


def evaluate(
    images: Float[np.ndarray, "n pixels"], reference: Reference, asked: Int[np.ndarray, " n"] | None = None
) -> dict[str, Any]:
    """Every measure of read-outs, on any affine scale, with n and a standard error where there is one.

    accuracy: share that the classifier judges to be of the class `asked` for, and by class. frechet,
    precision, recall, density, coverage: in the classifier's features, against the held-out images.
    classes, entropy: how often each class is drawn. memorisation: distances to the nearest training image
    against those of held-out images; copies is the share nearer than all but 1 % of those. diversity: within
    a class, relative to the held-out images'. sharpness: `sharpness`, mean.
    """
    count = len(images)
    require(count > 20, f"{count} images: give 21 or more to measure")
    verdict = reference.classifier.classify(images)
    pictures = grey(images)
    value, error = jackknife(lambda part: frechet(part, reference.features), verdict.features)
    overlap = manifolds(reference.features, verdict.features)
    distance = nearest(pictures, reference.training)
    mark = float(np.percentile(reference.distance, _COPY))
    drawn = asked if asked is not None else verdict.label
    found: dict[str, Any] = {
        "n": count,
        "frechet": {"mean": value, "sem": error},
        **overlap._asdict(),
        "classes": {str(label): int(np.sum(verdict.label == label)) for label in reference.classes},
        "entropy": entropy(verdict.label, len(reference.classes)),
        "nearest": {
            "median": float(np.median(distance)),
            "held_out": float(np.median(reference.distance)),
            "copies": float(np.mean(distance < mark)),
        },
        "diversity": diversity(verdict.features, drawn) / diversity(reference.features, reference.labels),
        "sharpness": float(sharpness(pictures).mean()),
        "classifier": reference.classifier.sha256[:16],
    }
    if asked is not None:
        found["accuracy"] = share(verdict.label == asked)
        found["accuracy"]["by_class"] = {
            str(label): float(np.mean(verdict.label[asked == label] == label))
            for label in sorted({int(one) for one in asked})
        }
    return found


def share(right: np.ndarray) -> dict[str, Any]:
    """A share with its 95 % interval (Wilson)."""
    n, p, z = len(right), float(np.mean(right)), 1.959964
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low = 0.0 if p == 0 else float(middle - half)  # the ends are exact, rounding is not
    high = 1.0 if p == 1 else float(middle + half)
    return {"mean": p, "low": low, "high": high, "n": n}


def controls(
    reference: Reference,
    count: int,
    untrained: Callable[[int], Float[np.ndarray, "n pixels"]] | None = None,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """What frames any figure: two nulls and the ceiling.

    'real' and 'real, noisy': held-out digits, clean and with thermal noise, compared with as many training
    images (the Fréchet distance is the same in either direction); 'inverted': the same digits with black and
    white exchanged; 'untrained': what a generator gives before it learns.
    """
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(reference.training))[: len(reference.held_out)]
    others = reference.classifier.classify(reference.training[chosen])
    against = replace(reference, features=others.features, labels=others.label)
    mine = rng.permutation(len(reference.held_out))[:count]
    real, labels = reference.held_out[mine], reference.labels[mine]
    noisy = real + NOISE * rng.standard_normal(real.shape).astype(np.float32)
    found = {
        "real": evaluate(real, against, labels),
        "real, noisy": evaluate(noisy, against, labels),
        "inverted": evaluate(-real, against, labels),
    }
    if untrained is not None:
        found["untrained"] = evaluate(untrained(count), reference, np.resize(reference.classes, count))
    return found
