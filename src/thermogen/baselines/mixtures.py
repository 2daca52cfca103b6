"""Gaussians and mixtures of them, class by class."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int, Key

from thermogen.baselines.base import Baseline, check_training, keys_of
from thermogen.errors import require
from thermogen.training import clusters


class Component(NamedTuple):
    """A Gaussian: mean (pixels,), factor (rank, pixels) with covariance factor^T factor, its probability."""

    mean: Float[np.ndarray, " pixels"]
    factor: Float[np.ndarray, "rank pixels"]
    weight: float


@dataclass(frozen=True)
class Mixture(Baseline):
    """x = mu_k + F_k^T z, z ~ N(0, 1), k drawn by weight among the components of the class."""

    components: tuple[tuple[Component, ...], ...]

    def draw(self, key: Key[Array, ""], labels: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n pixels"]:
        """One image for every label; InputError for an unknown one."""
        places = self.places(labels)
        rank = max(len(component.factor) for own in self.components for component in own)
        keys = keys_of(key, len(places))
        z = np.asarray(jax.vmap(lambda k: jax.random.normal(jax.random.fold_in(k, 0), (rank,)))(keys))
        u = np.asarray(jax.vmap(lambda k: jax.random.uniform(jax.random.fold_in(k, 1)))(keys))
        images = np.empty((len(places), len(self.components[0][0].mean)), np.float32)
        for place, own in enumerate(self.components):
            edges = np.cumsum([component.weight for component in own])
            chosen = np.minimum(np.searchsorted(edges, u), len(own) - 1)
            for number, (mean, factor, _) in enumerate(own):
                rows = np.flatnonzero((places == place) & (chosen == number))
                images[rows] = mean + z[rows, : len(factor)] @ factor
        return images

    @property
    def operations(self) -> int:
        """Multiply-adds that a sample takes, on average."""
        used = [weight * factor.size for own in self.components for _, factor, weight in own]
        return int(sum(used) / len(self.components))


def fit_mixture(
    images: Float[np.ndarray, "P pixels"],
    labels: Int[np.ndarray, " P"],
    *,
    components: int = 20,
    seed: int = 0,
) -> Mixture:
    """Cluster each class by k-means; each cluster gives a Gaussian of full covariance.

        weight_k = m_k / m,    mu_k = <x>,    F_k^T F_k = <(x - mu_k)(x - mu_k)^T> m_k / (m_k - 1)

    images (P, pixels) of 0 to 1. The factors are those of a singular value decomposition: a cluster of m_k
    images has rank m_k - 1 or less. One component is the class-wise Gaussian; few images make fewer
    components (`training.conditional.clusters`). Raises InputError for less than one component and for images
    outside 0 to 1. Cost: one eigendecomposition of min(m_k, pixels) a cluster.
    """
    require(components >= 1, f"components = {components}: give 1 or more")
    classes = check_training(images, labels)
    begun = time.perf_counter()
    mixtures = []
    for label in classes:
        own = np.asarray(images[labels == label], float)
        cluster = clusters(own, components, seed)
        mixture = []
        for number in range(int(cluster.max()) + 1):
            members = own[cluster == number]
            mean = members.mean(0)
            mixture.append(Component(mean, _factor(members - mean), len(members) / len(own)))
        mixtures.append(tuple(mixture))
    name = "Gaussian a class" if components == 1 else f"{components} Gaussians a class"
    return Mixture(name, classes, time.perf_counter() - begun, tuple(mixtures))


def _factor(rest: Float[np.ndarray, "m pixels"]) -> Float[np.ndarray, "rank pixels"]:
    """F with F^T F the covariance of centred images, from the smaller of their two Gram matrices."""
    members, pixels = rest.shape
    rest = rest / np.sqrt(max(1, members - 1))
    few = members < pixels
    size, vectors = np.linalg.eigh(rest @ rest.T if few else rest.T @ rest)
    kept = size > 1e-9 * max(size[-1], 1e-30)
    if few:
        return (vectors[:, kept].T @ rest).astype(np.float32)
    return (vectors[:, kept] * np.sqrt(size[kept])).T.astype(np.float32)
