"""Measures of image sets: Fréchet distance, precision and recall, memorisation, diversity, sharpness."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from thermogen.errors import require

_BLOCK = 2000
_ROWS = 500


def frechet(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> float:
    """Fréchet distance of the Gaussians that share mean and covariance with two sets of features.

        |mu_a - mu_b|^2 + tr(C_a + C_b - 2 (C_a^1/2 C_b C_a^1/2)^1/2)

    Biased upwards for small n: compare only sets of one size. Source: Heusel et al., NeurIPS 2017.
    """
    mean_a, mean_b = a.mean(0, dtype=float), b.mean(0, dtype=float)
    cov_a, cov_b = (np.atleast_2d(np.cov(np.asarray(x, float), rowvar=False)) for x in (a, b))
    size, basis = np.linalg.eigh(cov_a)
    root = basis * np.sqrt(np.maximum(size, 0)) @ basis.T
    inner = np.linalg.eigvalsh(root @ cov_b @ root)
    shared = np.sqrt(np.maximum(inner, 0)).sum()
    return float(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * shared)


def jackknife(measure, features: Float[np.ndarray, "n d"], groups: int = 10) -> tuple[float, float]:
    """A measure of n samples and its standard error, leaving out one of `groups` equal groups at a time.

        sem^2 = (g - 1) / g  sum_j (theta_j - mean theta)^2

    Samples must be independent. Groups are random with a fixed seed, since the classes of samples come in
    turn. A bootstrap does not work: repeated samples lower the diversity.
    """
    group = np.random.default_rng(0).permutation(len(features)) % groups
    values = np.array([measure(features[group != number]) for number in range(groups)])
    return float(measure(features)), float(np.sqrt((groups - 1) * values.var()))


class Manifolds(NamedTuple):
    """The overlap of two sets of features; see `manifolds`."""

    precision: float
    recall: float
    density: float
    coverage: float


def manifolds(
    real: Float[np.ndarray, "n d"], made: Float[np.ndarray, "m d"], neighbours: int = 5
) -> Manifolds:
    """Precision, recall, density and coverage, with a ball to the k-th nearest neighbour around each image.

    precision: share of `made` in a ball of `real`. recall: share of `real` in a ball of `made`. density: mean
    number of balls of `real` around a made image, over k. coverage: share of balls of `real` with a made
    image.
    Source: Kynkäänniemi et al., NeurIPS 2019; Naeem et al., ICML 2020.
    Raises InputError for sets of no more than `neighbours` images.
    """
    fewest = min(len(real), len(made))
    require(fewest > neighbours, f"{fewest} images: precision and recall need {neighbours + 1} or more")
    ball_real, ball_made = (_kth_nearest(x, neighbours) for x in (real, made))
    counts, recalled, covered = [], [], []
    for first in range(0, len(made), _BLOCK):
        distance = _distances(made[first : first + _BLOCK], real)
        inside = distance < ball_real
        counts.append(inside.sum(1))
        covered.append(inside.any(0))
        recalled.append((distance < ball_made[first : first + _BLOCK, None]).any(0))
    count = np.concatenate(counts)
    recall, coverage = (float(np.any(rows, 0).mean()) for rows in (recalled, covered))
    return Manifolds(float((count > 0).mean()), recall, float(count.mean() / neighbours), coverage)


def _kth_nearest(x: np.ndarray, k: int) -> np.ndarray:
    """Squared distance of each point to its k-th nearest neighbour."""
    blocks = (_distances(x[first : first + _BLOCK], x) for first in range(0, len(x), _BLOCK))
    return np.concatenate([np.partition(block, k, axis=1)[:, k] for block in blocks])  # 0 is the point itself


@jax.jit
def _squared(a: Array, b: Array) -> Array:
    product = jnp.matmul(a, b.T, precision="highest")  # a difference of large numbers
    return jnp.maximum((a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * product, 0)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(_squared(jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32)))


def nearest(made: Float[np.ndarray, "n d"], known: Float[np.ndarray, "m d"]) -> Float[np.ndarray, " n"]:
    """Root mean square pixel difference of each image to the nearest image of another set."""
    blocks = (made[first : first + _ROWS] for first in range(0, len(made), _ROWS))
    least = [np.asarray(_squared(jnp.asarray(block), jnp.asarray(known)).min(1)) for block in blocks]
    return np.sqrt(np.concatenate(least) / made.shape[1])


def diversity(features: Float[np.ndarray, "n d"], labels: Int[np.ndarray, " n"]) -> float:
    """Root mean square distance in feature space of two images of one class, mean over the classes.

    2 tr C_class under the root; 0 if all images of a class are equal.
    """
    members = (features[labels == label] for label in np.unique(labels))
    spread = [2 * rows.var(0, ddof=1).sum() for rows in members if len(rows) > 1]
    return float(np.sqrt(np.mean(spread))) if spread else 0.0


def sharpness(pictures: Float[np.ndarray, "n pixels"]) -> Float[np.ndarray, " n"]:
    """Otsu's criterion for two values, ink and paper, 0 to 1.

        eta = max over thresholds of the variance between ink and paper, over the total variance

    1 for pure black and white; noise and blur both lower it. Source: Otsu (1979).
    """
    ordered = np.sort(np.asarray(pictures, float), axis=1)
    count = np.arange(1, ordered.shape[1])
    below = np.cumsum(ordered, 1)
    total, below = below[:, -1:], below[:, :-1]
    share = count / ordered.shape[1]
    gap = (total - below) / (ordered.shape[1] - count) - below / count
    variance = ordered.var(1)
    return (share * (1 - share) * gap**2).max(1) / np.where(variance > 0, variance, 1)


def entropy(labels: Int[np.ndarray, " n"], classes: int) -> float:
    """Entropy of the shares of the classes, in nats (ten equal shares: 2.303)."""
    share = np.bincount(np.unique(labels, return_inverse=True)[1], minlength=classes) / len(labels)
    share = share[share > 0]
    return float(-(share * np.log(share)).sum())
