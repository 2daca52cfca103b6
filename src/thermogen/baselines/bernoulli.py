"""scikit-learn's restricted Boltzmann machine of binary units, one per class, with Gibbs sampling."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from thermogen.baselines.base import Baseline, check_training, keys_of
from thermogen.errors import InputError, require

_ROUND = 250


@dataclass(frozen=True)
class BernoulliMachine(Baseline):
    """Weights (classes, hidden, pixels) and biases of the machines; a sample takes `sweeps` Gibbs sweeps."""

    weights: Float[np.ndarray, "classes hidden pixels"]
    hidden: Float[np.ndarray, "classes hidden"]
    visible: Float[np.ndarray, "classes pixels"]
    sweeps: int

    def draw(self, key: Key[Array, ""], labels: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n pixels"]:
        """The probability of every pixel after the last sweep, from random pixels at the start."""
        places = self.places(labels)
        keys = keys_of(key, len(places))
        images = np.empty((len(places), self.weights.shape[2]), np.float32)
        for place in np.unique(places):
            rows = np.flatnonzero(places == place)
            values = self.weights[place], self.hidden[place], self.visible[place]
            machine = tuple(jnp.asarray(array, jnp.float32) for array in values)
            for first in range(0, len(rows), _ROUND):
                chosen = np.resize(rows[first : first + _ROUND], _ROUND)
                images[chosen] = np.asarray(_gibbs(keys[chosen], machine, self.sweeps))
        return images

    @property
    def operations(self) -> int:
        """Multiply-adds that a sample takes."""
        return 2 * self.sweeps * self.weights[0].size


@jax.jit
def _gibbs(keys, machine, sweeps):
    weights, hidden, visible = machine

    def flip(number, p):
        u = jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, number), (p.shape[1],)))(keys)
        return (u < p).astype(jnp.float32)

    def sweep(number, p):
        v = flip(2 * number, p)
        h = flip(2 * number + 1, jax.nn.sigmoid(v @ weights.T + hidden))
        return jax.nn.sigmoid(h @ weights + visible)

    return jax.lax.fori_loop(0, sweeps, sweep, jnp.full((len(keys), len(visible)), 0.5))


def fit_bernoulli(
    key: Key[Array, ""],
    images: Float[np.ndarray, "P pixels"],
    labels: Int[np.ndarray, " P"],
    *,
    hidden: int = 128,
    updates: int = 600,
    rate: float = 0.1,
    batch: int = 100,
    sweeps: int = 100,
    progress: Callable[[int, int], None] | None = None,
) -> BernoulliMachine:
    """Train scikit-learn's BernoulliRBM (persistent contrastive divergence) on each class.

        dW = rate (<h v>_data - <h v>_chains),    `batch` images and as many persistent chains an update

    images (P, pixels) of 0 to 1 are probabilities of ink. The rate falls linearly to zero over
    `updates` a class, and visible biases start at the log-odds of the mean image (Hinton, UTML TR 2010-003).
    `progress(classes done, classes)` is called after each class. Raises InputError if scikit-learn is not
    installed, for images outside 0 to 1 and for counts below 1. Source: Tieleman, ICML 2008.
    Cost: 5 x updates x batch x hidden x pixels multiply-adds a class.
    """
    try:
        from sklearn.neural_network import BernoulliRBM
    except ImportError as error:
        raise InputError(
            "the baseline 'rbm' needs scikit-learn: pip install 'thermogen[baselines]', or leave it out of "
            "--baselines"
        ) from error
    for name, value in (("hidden", hidden), ("updates", updates), ("batch", batch), ("sweeps", sweeps)):
        require(value >= 1, f"{name} = {value}: give 1 or more")
    classes = check_training(images, labels)
    begun = time.perf_counter()
    seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
    machines: list[Any] = []
    for number, label in enumerate(classes):
        own = np.asarray(images[labels == label], np.float32)
        rng = np.random.default_rng([seed, number])
        size = min(batch, len(own))
        machine = BernoulliRBM(n_components=hidden, batch_size=size, n_iter=0, random_state=seed).fit(own)
        ink = np.clip(own.mean(0), 0.01, 0.99)
        machine.intercept_visible_ = np.log(ink / (1 - ink))
        order = np.concatenate([rng.permutation(len(own)) for _ in range(-(-updates * size // len(own)))])
        for update in range(updates):
            machine.learning_rate = rate * (1 - update / updates)
            machine.partial_fit(own[order[update * size : (update + 1) * size]])
        machines.append(machine)
        if progress is not None:
            progress(number + 1, len(classes))
    return BernoulliMachine(
        f"binary RBM, {hidden} hidden",
        classes,
        time.perf_counter() - begun,
        np.stack([machine.components_ for machine in machines]),
        np.stack([machine.intercept_hidden_ for machine in machines]),
        np.stack([machine.intercept_visible_ for machine in machines]),
        sweeps,
    )
