"""Train the classifier that judges images, and write its weights.

    python tools/train_classifier.py ../shared/data/mnist.npz src/thermogen/datasets/lenet.safetensors

The file holds train_images, train_labels, test_images, test_labels. Images are shifted by up to two pixels
and carry Gaussian noise of a standard deviation from 0 to 0.3, since thermal read-outs are noisy. Minutes on
two cores.
"""

import argparse
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from thermogen.quality import LeNet, load_classifier, save_classifier
from thermogen.quality.grey import HIGH, LOW

BATCH, SHIFT, NOISE = 100, 2, 0.3


def varied(key, images):
    """A batch as it might be read from a computer: shifted, noisy, and scaled as `grey` does."""
    move, amount, noise = jax.random.split(key, 3)
    by = jax.random.randint(move, (len(images), 2), -SHIFT, SHIFT + 1)
    images = jax.vmap(lambda image, d: jnp.roll(image, d, (0, 1)))(images, by)
    spread = jnp.maximum(0, jax.random.uniform(amount, (len(images), 1, 1), minval=-NOISE / 2, maxval=NOISE))
    images = images + spread * jax.random.normal(noise, images.shape)
    low, high = jnp.percentile(images.reshape(len(images), -1), jnp.asarray([LOW, HIGH]), axis=1)
    return jnp.clip((images - low[:, None, None]) / (high - low)[:, None, None], 0, 1)


@eqx.filter_jit
def step(network, state, key, images, labels, optimizer):
    """One step of the optimiser: the new network, the optimiser's state, and the loss."""

    @eqx.filter_value_and_grad
    def loss(network):
        features = network.features(varied(key, images))
        return optax.softmax_cross_entropy_with_integer_labels(network.scores(features), labels).mean()

    value, gradient = loss(network)
    update, state = optimizer.update(gradient, state, network)
    return eqx.apply_updates(network, update), state, value


def main() -> None:
    """Train, write, and print how many test images are judged right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with np.load(given.data, allow_pickle=False) as file:
        images, test = (file[f"{part}_images"] / np.float32(255) for part in ("train", "test"))
        labels, truth = (file[f"{part}_labels"].astype(int) for part in ("train", "test"))
    names, target = np.unique(labels, return_inverse=True)
    shape = images.shape[1], images.shape[2]
    network = LeNet.random(jax.random.key(given.seed), shape, len(names))
    steps = len(images) // BATCH
    rate = optax.cosine_onecycle_schedule(given.epochs * steps, 3e-3)
    optimizer = optax.adamw(rate, weight_decay=1e-4)
    state = optimizer.init(eqx.filter(network, eqx.is_array))
    rng = np.random.default_rng(given.seed)
    begun = time.perf_counter()
    for epoch in range(given.epochs):
        order, total = rng.permutation(len(images)), 0.0
        for number in range(steps):
            chosen = order[number * BATCH : (number + 1) * BATCH]
            key = jax.random.fold_in(jax.random.key(given.seed + 1), epoch * steps + number)
            network, state, value = step(network, state, key, images[chosen], target[chosen], optimizer)
            total += float(value)
        print(f"epoch {epoch + 1}: loss {total / steps:.4f}, {time.perf_counter() - begun:.0f} s", flush=True)
    card = {"epochs": given.epochs, "seed": given.seed, "images": len(images)}
    save_classifier(given.out, network, shape, tuple(int(name) for name in names), card)
    judge = load_classifier(given.out)
    for spread in (0.0, 0.1, 0.2, 0.3):
        noisy = test + spread * rng.standard_normal(test.shape)
        right = np.mean(judge.classify(noisy.reshape(len(test), -1)).label == truth)
        print(f"test images, noise of sd {spread}: {100 * right:.2f} % right", flush=True)
    print(f"sha256 {judge.sha256}")


if __name__ == "__main__":
    main()
