"""The digital denoiser of the paper, a perceptron of 784-128-128-784, trained as a diffusion model.

    x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps,    abar by the cosine schedule, t = 1 .. T
    loss = (1 - abar_t)^2 |f(x_t, t, class) - x_0|^2,    x_{t-1} ~ q(x_{t-1} | x_t, x_0 = f)

Sources: Ho et al., NeurIPS 2020 (diffusion); Nichol & Dhariwal, ICML 2021 (cosine schedule); Whitelam, PRL
136, 037101 (2026) (the layers).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from thermogen.baselines.base import Baseline, check_training, keys_of
from thermogen.errors import require

_BATCH, _TIMES, _ROUND, _REPORT = 256, 16, 250, 500


class Network(eqx.Module):
    """Three layers with SiLU between; time features and the class, one-hot, enter the first."""

    layers: list[eqx.nn.Linear]

    def __init__(self, key: Key[Array, ""], pixels: int, extra: int, width: int):
        """Random weights."""
        sizes = [(pixels + extra, width), (width, width), (width, pixels)]
        keys = jax.random.split(key, len(sizes))
        self.layers = [eqx.nn.Linear(a, b, key=key) for key, (a, b) in zip(keys, sizes, strict=True)]

    def __call__(self, x: Float[Array, " pixels"], extra: Float[Array, " extra"]) -> Float[Array, " pixels"]:
        """The denoised image, -1 to 1."""
        h = jnp.concatenate([x, extra])
        for layer in self.layers[:-1]:
            h = jax.nn.silu(layer(h))
        return self.layers[-1](h)


@dataclass(frozen=True)
class Denoiser(Baseline):
    """A trained network with its number of steps; `conditional` if the class is an input."""

    network: Network
    steps: int
    conditional: bool

    def draw(self, key: Key[Array, ""], labels: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n pixels"]:
        """One image for every label, 0 to 1; InputError for an unknown one.

        An unconditional denoiser ignores the values of the labels.
        """
        places = self.places(labels) if self.conditional else np.zeros(len(labels), int)
        keys = keys_of(key, len(places))
        rounds = []
        for first in range(0, len(places), _ROUND):
            chosen = np.arange(first, first + _ROUND) % len(places)
            onehot = jax.nn.one_hot(jnp.asarray(places[chosen]), len(self.classes)) * self.conditional
            rounds.append(np.asarray(_drawn(self.network, keys[chosen], onehot, self.steps)))
        return (np.concatenate(rounds)[: len(places)] + 1) / 2

    @property
    def operations(self) -> int:
        """Multiply-adds that a sample takes."""
        return self.steps * sum(layer.weight.size for layer in self.network.layers)


def _abar(t: Array, steps: int) -> Array:
    return jnp.clip(jnp.cos((t / steps + 0.008) / 1.008 * jnp.pi / 2) ** 2, 1e-5, 1)


def _clock(t: Array, steps: int) -> Float[Array, " times"]:
    place = t / steps
    waves = jnp.pi * place * 2.0 ** jnp.arange(_TIMES // 2 - 1)
    return jnp.concatenate([jnp.stack([place, jnp.sqrt(_abar(t, steps))]), jnp.sin(waves), jnp.cos(waves)])


@eqx.filter_jit
def _drawn(network: Network, keys, onehot, steps: int):
    pixels = network.layers[-1].weight.shape[0]

    def noise(t):
        return jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, t), (pixels,)))(keys)

    def step(x, t):
        now, before = _abar(t, steps), jnp.where(t > 1, _abar(t - 1, steps), 1.0)
        clock = jnp.broadcast_to(_clock(t, steps), (len(x), _TIMES))
        guess = jnp.clip(jax.vmap(network)(x, jnp.concatenate([clock, onehot], 1)), -1, 1)
        beta = 1 - now / before
        mean = (jnp.sqrt(before) * beta * guess + jnp.sqrt(now / before) * (1 - before) * x) / (1 - now)
        spread = jnp.sqrt(beta * (1 - before) / (1 - now))
        return jnp.where(t > 1, mean + spread * noise(t), guess), None

    return jax.lax.scan(step, noise(0), jnp.arange(steps, 0, -1))[0]


def fit_denoiser(
    key: Key[Array, ""],
    images: Float[np.ndarray, "P pixels"],
    labels: Int[np.ndarray, " P"] | None,
    *,
    steps: int = 100,
    conditional: bool = True,
    width: int = 128,
    updates: int = 8000,
    rate: float = 4e-3,
    progress: Callable[[int, int], None] | None = None,
) -> Denoiser:
    """Train on images (P, pixels) of 0 to 1 with Adam in `updates` batches of 256; the rate falls to zero.

    `labels` (P,) may be None for an unconditional denoiser. `progress(updates done, updates)` is called
    every 500 updates. Raises InputError for steps, updates or width below 1, images outside 0 to 1, and
    missing labels of a conditional one. Cost: 6 ms an update on two cores.
    """
    for name, value in (("steps", steps), ("updates", updates), ("width", width)):
        require(value >= 1, f"{name} = {value}: give 1 or more")
    require(labels is not None or not conditional, "labels = None: give them, or conditional=False")
    labels = np.zeros(len(images), int) if labels is None else labels
    classes = check_training(images, labels)
    begun = time.perf_counter()
    start_key, train_key = jax.random.split(key)
    network = Network(start_key, images.shape[1], _TIMES + len(classes), width)
    optimizer = optax.adam(optax.cosine_decay_schedule(rate, updates))
    state = optimizer.init(eqx.filter(network, eqx.is_array))
    pictures = jnp.asarray(2 * np.asarray(images, np.float32) - 1)
    places = jnp.asarray(np.searchsorted(np.asarray(classes), labels))
    onehot = jax.nn.one_hot(places, len(classes)) * conditional
    for first in range(0, updates, _REPORT):
        numbers = jnp.arange(first, min(first + _REPORT, updates))
        network, state = _trained(network, state, train_key, pictures, onehot, optimizer, steps, numbers)
        if progress is not None:
            jax.block_until_ready(network.layers[0].weight)
            progress(int(numbers[-1]) + 1, updates)
    jax.block_until_ready(network.layers[0].weight)
    name = f"denoiser, {steps:,} steps" + ("" if conditional else ", class not given")
    return Denoiser(name, classes, time.perf_counter() - begun, network, steps, conditional)


@eqx.filter_jit
def _trained(network, state, key, pictures, onehot, optimizer, steps: int, numbers):
    arrays, rest = eqx.partition(network, eqx.is_array)

    def update(carry, number):
        arrays, state = carry
        choose, clock, noise = jax.random.split(jax.random.fold_in(key, number), 3)
        rows = jax.random.randint(choose, (_BATCH,), 0, len(pictures))
        t = jax.random.randint(clock, (_BATCH,), 1, steps + 1)
        x0, eps = pictures[rows], jax.random.normal(noise, (_BATCH, pictures.shape[1]))
        abar = _abar(t, steps)[:, None]
        x = jnp.sqrt(abar) * x0 + jnp.sqrt(1 - abar) * eps
        extra = jnp.concatenate([jax.vmap(lambda time: _clock(time, steps))(t), onehot[rows]], 1)

        def loss(arrays):
            guess = jax.vmap(eqx.combine(arrays, rest))(x, extra)
            return jnp.mean((1 - abar) ** 2 * (guess - x0) ** 2)

        gradient = jax.grad(loss)(arrays)
        change, state = optimizer.update(gradient, state)
        return (eqx.apply_updates(arrays, change), state), None

    (arrays, state), _ = jax.lax.scan(update, (arrays, state), numbers)
    return eqx.combine(arrays, rest), state
