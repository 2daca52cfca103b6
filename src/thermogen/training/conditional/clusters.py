"""Clusters of similar images within a class."""

from __future__ import annotations

import warnings

import numpy as np
from jaxtyping import Float, Int
from scipy.cluster.vq import kmeans2

from thermogen.errors import require

_COMPONENTS = 40


def clusters(
    images: Float[np.ndarray, "P pixels"], count: int, seed: int = 0, fewest: int = 5
) -> Int[np.ndarray, " P"]:
    """A number from 0 for every image: k-means (++ start, 20 rounds) in the leading 40 principal components.

    At most `count` clusters; those of less than `fewest` members join the nearest one, since a covariance
    needs several images. Raises InputError for a count below 1.
    """
    require(count >= 1, f"clusters = {count}: give 1 or more")
    count = min(count, max(1, len(images) // fewest))
    if count == 1:
        return np.zeros(len(images), int)
    centred = np.asarray(images, float) - images.mean(0)
    _, basis = np.linalg.eigh(centred.T @ centred)
    points = centred @ basis[:, -_COMPONENTS:]
    with warnings.catch_warnings():  # an empty cluster is dropped below
        warnings.simplefilter("ignore", UserWarning)
        centres, cluster = kmeans2(points, count, minit="++", iter=20, rng=np.random.default_rng(seed))
    sizes = np.bincount(cluster, minlength=count)
    kept = np.flatnonzero(sizes >= fewest) if (sizes >= fewest).any() else np.array([sizes.argmax()])
    lost = ~np.isin(cluster, kept)
    distance = ((points[lost][:, None] - centres[kept][None]) ** 2).sum(-1)
    cluster[lost] = kept[distance.argmin(1)]
    return np.searchsorted(kept, cluster)
