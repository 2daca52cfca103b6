"""Read-outs as grey images: one scale for every generator."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

LOW, HIGH = 2.0, 98.0
"""Percentiles of an image's own values that become black and white."""


def grey(images: Float[np.ndarray, "n pixels"]) -> Float[np.ndarray, "n pixels"]:
    """Each image between its 2nd and 98th percentiles, as 0 to 1, clipped beyond.

    The result does not depend on the offset and scale of the units. An image whose percentiles are equal is
    scaled between its extremes.
    """
    images = np.asarray(images, np.float32)
    ordered = np.sort(images, axis=1)
    place = images.shape[1] - 1
    low, high = (ordered[:, round(place * percent / 100)] for percent in (LOW, HIGH))
    thin = high <= low
    low, high = np.where(thin, ordered[:, 0], low), np.where(thin, ordered[:, -1], high)
    span = np.where(high > low, high - low, 1)
    return np.clip((images - low[:, None]) / span[:, None], 0, 1)
