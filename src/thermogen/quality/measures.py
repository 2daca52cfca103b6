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
    """A measure of n samples and its standard error, by leaving out one of `groups` equal parts in turn.

        sem^2 = (g - 1) / g  sum_j (theta_j - mean theta)^2

    Samples must be independent. Parts are drawn at random, always alike: samples come with their classes in
    turn, and a part must not be a class. A bootstrap would not do: repeated samples look like less variety.
    """
    part = np.random.default_rng(0).permutation(len(features)) % groups
    left = np.array([measure(features[part != group]) for group in range(groups)])
    return float(measure(features)), float(np.sqrt((groups - 1) * left.var()))


class Manifolds(NamedTuple):
    """How two sets of features overlap, each a number for the generated set; see `manifolds`."""

    precision: float
    recall: float
    density: float
    coverage: float


def manifolds(
    real: Float[np.ndarray, "n d"], made: Float[np.ndarray, "m d"], neighbours: int = 5
) -> Manifolds:
    """Precision, recall, density and coverage with balls to the k-th nearest neighbour.

    precision: share of made in the ball of some real one. recall: share of real in the ball of some made one.
    density: mean number of real balls that hold a made one, over k. coverage: share of real balls with a
    made one in them. Source: Kynkäänniemi et al., NeurIPS 2019; Naeem et al., ICML 2020.
    Raises InputError for sets of no more than `neighbours` images.
    """
    fewest = min(len(real), len(made))
    require(fewest > neighbours, f"{fewest} images: precision and recall need {neighbours + 1} or more")
    ball_real, ball_made = (_kth_nearest(x, neighbours) for x in (real, made))
    held, counts, recalled, covered = [], [], [], []
    for first in range(0, len(made), _BLOCK):
        distance = _distances(made[first : first + _BLOCK], real)
        inside = distance < ball_real
        held.append(inside.any(1))
        counts.append(inside.sum(1))
        covered.append(inside.any(0))
        recalled.append((distance < ball_made[first : first + _BLOCK, None]).any(0))
    return Manifolds(
        float(np.concatenate(held).mean()),
        float(np.any(recalled, 0).mean()),
        float(np.concatenate(counts).mean() / neighbours),
        float(np.any(covered, 0).mean()),
    )


def _kth_nearest(x: np.ndarray, k: int) -> np.ndarray:
    """Squared distance of each point to its k-th nearest other one."""
    parts = []
    for first in range(0, len(x), _BLOCK):
        distance = _distances(x[first : first + _BLOCK], x)
        parts.append(np.partition(distance, k, axis=1)[:, k])  # place 0 is the point itself
    return np.concatenate(parts)


@jax.jit
def _squared(a: Array, b: Array) -> Array:
    product = jnp.matmul(a, b.T, precision="highest")  # a difference of large numbers
    return jnp.maximum((a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * product, 0)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(_squared(jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32)))


def nearest(made: Float[np.ndarray, "n d"], known: Float[np.ndarray, "m d"]) -> Float[np.ndarray, " n"]:
    """Root mean square pixel difference of each image to the known image most like it."""
    parts = [
        np.asarray(_squared(jnp.asarray(made[i : i + _ROWS]), jnp.asarray(known)).min(1))
        for i in range(0, len(made), _ROWS)
    ]
    return np.sqrt(np.concatenate(parts) / made.shape[1])


def diversity(features: Float[np.ndarray, "n d"], labels: Int[np.ndarray, " n"]) -> float:
    """Root mean square distance in feature space of two images of one class, mean over the classes.

    2 tr C_class under the root; 0 if a class is always drawn the same way.
    """
    spread = [
        2 * features[labels == label].var(0, ddof=1).sum()
        for label in np.unique(labels)
        if np.sum(labels == label) > 1
    ]
    return float(np.sqrt(np.mean(spread))) if spread else 0.0


def sharpness(pictures: Float[np.ndarray, "n pixels"]) -> Float[np.ndarray, " n"]:
    """How nearly an image has two values, ink and paper: Otsu's criterion, 0 to 1.

        eta = max over thresholds of the variance between ink and paper, over the whole variance

    1 for pure black and white; noise and blur lower it alike. Source: Otsu (1979).
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
