"""The interface of baselines: trained on grey images, they generate images of requested classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from thermogen.errors import InputError, require


@dataclass(frozen=True)
class Baseline(ABC):
    """A trained generator of grey images. classes: those that can be requested."""

    name: str
    classes: tuple[int, ...]
    training_seconds: float

    @abstractmethod
    def draw(self, key: Key[Array, ""], labels: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n pixels"]:
        """One image for every label; InputError for an unknown one."""

    @property
    @abstractmethod
    def operations(self) -> int:
        """Multiply-adds that a sample takes."""

    @property
    def parameters(self) -> int:
        """Trained numbers: the sizes of all arrays."""
        leaves = jax.tree.leaves(vars(self))
        return sum(leaf.size for leaf in leaves if isinstance(leaf, np.ndarray | jax.Array))

    def heat_kT(self, key: Key[Array, ""], labels: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"] | None:
        """Heat released in generation on a device, in kT; None for a digital baseline."""
        return None

    def draw_at(
        self, key: Key[Array, ""], labels: Int[np.ndarray, " n"], times: Sequence[float]
    ) -> list[Float[np.ndarray, "n pixels"]] | None:
        """Images after several times; None for a baseline without a physical time."""
        return None

    def places(self, labels: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """The place of every label among the classes; InputError for an unknown one."""
        for label in np.unique(labels):
            if int(label) not in self.classes:
                classes = ", ".join(map(str, self.classes))
                raise InputError(f"label {label} was not trained: choose among {classes}")
        return np.searchsorted(np.asarray(self.classes), labels)


def keys_of(key: Key[Array, ""], count: int) -> Key[Array, " n"]:
    """A key for every sample: sample n depends on (key, n) alone."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(count))


def check_training(images: np.ndarray, labels: np.ndarray) -> tuple[int, ...]:
    """The classes of a training set; InputError unless it is (P, pixels) of 0 to 1 with a label each."""
    if images.ndim != 2 or len(images) == 0 or labels.shape != images.shape[:1]:
        raise InputError(
            f"images of shape {images.shape} with labels of shape {labels.shape}: give (P, pixels) and (P,)"
        )
    low, high = float(images.min()), float(images.max())
    require(low >= 0 and high <= 1, f"images hold values from {low:g} to {high:g}: give grey from 0 to 1")
    return tuple(int(label) for label in np.unique(labels))
