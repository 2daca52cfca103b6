"""Correlation of samples with the prototypes of training."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class PrototypeScores(NamedTuple):
    """Correlation of samples with prototypes.

    correlation: Pearson correlation over pixels, (n, P). best: its largest value per sample. nearest: the
    number of that prototype. counts: samples per prototype, (P,).
    """

    correlation: Float[np.ndarray, "n P"]
    best: Float[np.ndarray, " n"]
    nearest: Int[np.ndarray, " n"]
    counts: Int[np.ndarray, " P"]


def prototype_scores(
    samples: Float[np.ndarray, "n pixels"], prototypes: Float[np.ndarray, "P pixels"]
) -> PrototypeScores:
    """Correlate each sample with each prototype over the pixels; -1 is an inverted image."""
    a, b = (
        (values - values.mean(1, keepdims=True)) / values.std(1, keepdims=True)
        for values in (np.asarray(samples, float), np.asarray(prototypes, float))
    )
    correlation = a @ b.T / a.shape[1]
    nearest = correlation.argmax(1)
    counts = np.bincount(nearest, minlength=len(prototypes))
    return PrototypeScores(correlation, correlation.max(1), nearest, counts)
