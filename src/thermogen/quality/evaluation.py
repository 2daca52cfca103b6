"""All measures of a set of generated images, the same for every generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thermogen.errors import InputError, require
from thermogen.quality.classifier import Classifier
from thermogen.quality.grey import grey
from thermogen.quality.measures import diversity, entropy, frechet, jackknife, manifolds, nearest, sharpness

NOISE = 0.2
"""Standard deviation of the thermal noise in the noisy ceiling, in units of ink."""
_COPY = 1.0
"""Percentile of the distances of held-out images to training; an image below it counts as a copy."""


@dataclass(frozen=True)
class Reference:
    """Real images to compare with, as grey images: those of training, and held-out ones.

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
        """From raw images; InputError for too few images, or for another size than that of the classifier."""
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
        training, held_out = grey(training), grey(held_out)
        return cls(classifier, training, held_out, labels, features, nearest(held_out, training))

    @property
    def classes(self) -> list[int]:
        """Classes among the held-out images."""
        return [int(label) for label in np.unique(self.labels)]


def evaluate(
    images: Float[np.ndarray, "n pixels"], reference: Reference, labels: Int[np.ndarray, " n"] | None = None
) -> dict[str, Any]:
    """Every measure of read-outs on any affine scale, with n and a standard error where there is one.

    accuracy: share of the images in the requested class of `labels`, and by class. frechet, precision,
    recall, density, coverage: in the features of the classifier, against the held-out images. classes,
    entropy: number of images of each class. nearest: distances to the nearest training image, and to that of
    held-out images; copies is the share below the first percentile of the latter. diversity: within a class,
    relative to the held-out images. sharpness: `sharpness`, mean.
    Raises InputError for less than 21 images.
    """
    count = len(images)
    require(count > 20, f"{count} images: give 21 or more to measure")
    result, pictures = reference.classifier.classify(images), grey(images)
    label, features = result.label, result.features
    value, error = jackknife(lambda rows: frechet(rows, reference.features), features)
    distance = nearest(pictures, reference.training)
    within = diversity(features, label if labels is None else labels)
    figures: dict[str, Any] = {
        "n": count,
        "frechet": {"mean": value, "sem": error},
        **manifolds(reference.features, features)._asdict(),
        "classes": {str(number): int(np.sum(label == number)) for number in reference.classes},
        "entropy": entropy(label, len(reference.classes)),
        "nearest": {
            "median": float(np.median(distance)),
            "held_out": float(np.median(reference.distance)),
            "copies": float(np.mean(distance < float(np.percentile(reference.distance, _COPY)))),
        },
        "diversity": within / diversity(reference.features, reference.labels),
        "sharpness": float(sharpness(pictures).mean()),
        "classifier": reference.classifier.sha256[:16],
    }
    if labels is not None:
        right = label == labels
        by_class = {str(number): float(np.mean(right[labels == number])) for number in np.unique(labels)}
        figures["accuracy"] = share(right) | {"by_class": by_class}
    return figures


def share(right: np.ndarray) -> dict[str, Any]:
    """A share with its 95 % interval (Wilson)."""
    n, p, z = len(right), float(np.mean(right)), 1.959964
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low = 0.0 if p == 0 else float(middle - half)  # exact, without rounding, at both ends
    high = 1.0 if p == 1 else float(middle + half)
    return {"mean": p, "low": low, "high": high, "n": n}


def controls(
    reference: Reference,
    count: int,
    untrained: Callable[[int], Float[np.ndarray, "n pixels"]] | None = None,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Measures of two nulls and of the ceiling.

    'real' and 'real, noisy': held-out digits, clean and with thermal noise, compared with as many training
    images (the Fréchet distance is symmetric); 'inverted': these digits with black and white exchanged;
    'untrained': the generator before training.
    """
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(reference.training))[: len(reference.held_out)]
    others = reference.classifier.classify(reference.training[chosen])
    against = replace(reference, features=others.features, labels=others.label)
    shown = rng.permutation(len(reference.held_out))[:count]
    real, labels = reference.held_out[shown], reference.labels[shown]
    noisy = real + NOISE * rng.standard_normal(real.shape).astype(np.float32)
    figures = {
        "real": evaluate(real, against, labels),
        "real, noisy": evaluate(noisy, against, labels),
        "inverted": evaluate(-real, against, labels),
    }
    if untrained is not None:
        figures["untrained"] = evaluate(untrained(count), reference, np.resize(reference.classes, count))
    return figures
