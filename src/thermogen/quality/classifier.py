"""The judge: a small convolutional network whose features and verdicts every generator is measured by.

Its weights ship with the package; `tools/train_classifier.py` trained them.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import resources
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from thermogen.errors import InputError, require
from thermogen.quality.grey import grey

_BATCH = 500
_KERNEL = 5


class LeNet(eqx.Module):
    """Two convolutions of 5 x 5 with pooling, one hidden layer, one output a class. LeCun et al. (1998).

    Features are the values of the hidden layer after its rectifier. Layers are products of patches with
    matrices, `(25 inputs, outputs)`.
    """

    first: Float[Array, "_ maps"]
    first_bias: Float[Array, " maps"]
    second: Float[Array, "_ maps2"]
    second_bias: Float[Array, " maps2"]
    hidden: Float[Array, "_ features"]
    hidden_bias: Float[Array, " features"]
    output: Float[Array, "features classes"]
    output_bias: Float[Array, " classes"]

    @classmethod
    def random(
        cls,
        key: Key[Array, ""],
        shape: tuple[int, int],
        classes: int,
        maps: tuple[int, int] = (16, 32),
        features: int = 128,
    ) -> LeNet:
        """Weights before training (He initialisation) for images of a shape."""
        inner = -(-shape[0] // 4) * -(-shape[1] // 4) * maps[1]
        sizes = [
            (_KERNEL**2, maps[0]),
            (_KERNEL**2 * maps[0], maps[1]),
            (inner, features),
            (features, classes),
        ]
        arrays: list[Array] = []
        for one, size in zip(jax.random.split(key, len(sizes)), sizes, strict=True):
            arrays += [jax.random.normal(one, size) * np.sqrt(2 / size[0]), jnp.zeros(size[1])]
        return cls(*arrays)

    def features(self, images: Float[Array, "n height width"]) -> Float[Array, "n features"]:
        """The hidden layer's values."""
        x = _pooled(jax.nn.relu(_patches(images[..., None]) @ self.first + self.first_bias))
        x = _pooled(jax.nn.relu(_patches(x) @ self.second + self.second_bias))
        return jax.nn.relu(x.reshape(len(x), -1) @ self.hidden + self.hidden_bias)

    def scores(self, features: Float[Array, "n features"]) -> Float[Array, "n classes"]:
        """Log-odds of the classes, up to a constant."""
        return features @ self.output + self.output_bias


def _patches(images: Float[Array, "n height width maps"]) -> Float[Array, "n height width _"]:
    """Every pixel's 5 x 5 neighbourhood, zeros outside: a convolution is then one matrix product."""
    reach = _KERNEL // 2
    wide = jnp.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    height, width = images.shape[1:3]
    shifted = [wide[:, i : i + height, j : j + width] for i in range(_KERNEL) for j in range(_KERNEL)]
    return jnp.concatenate(shifted, -1)


def _pooled(images: Float[Array, "n height width maps"]) -> Float[Array, "n _ _ maps"]:
    """The largest of each 2 x 2 pixels; an odd edge is repeated."""
    n, height, width, maps = images.shape
    images = jnp.pad(images, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return images.reshape(n, -(-height // 2), 2, -(-width // 2), 2, maps).max((2, 4))


@eqx.filter_jit
def _judged(network: LeNet, images: Array) -> tuple[Array, Array]:
    features = network.features(images)
    return features, network.scores(features)


class Classification(eqx.Module):
    """Features (n, features) and the most probable class (n,) of images."""

    features: Float[np.ndarray, "n features"]
    label: Int[np.ndarray, " n"]


class Classifier:
    """A trained network with the image size and classes it knows and the hash of its weights."""

    def __init__(self, network: LeNet, shape: tuple[int, int], labels: tuple[int, ...], sha256: str):
        self.network = network
        self.shape = shape
        self.labels = labels
        self.sha256 = sha256

    def classify(self, images: Float[np.ndarray, "n pixels"]) -> Classification:
        """Features and classes of read-outs, after `grey`; InputError for images of another size."""
        height, width = self.shape
        if images.shape[1] != height * width:
            raise InputError(
                f"images of {images.shape[1]} pixels cannot be judged by a classifier for {height} x {width}"
                ": give --classifier one that was trained on your images (tools/train_classifier.py)"
            )
        pictures = grey(images).reshape(-1, height, width)
        parts = []
        for first in range(0, len(pictures), _BATCH):
            part = pictures[first : first + _BATCH]
            padded = jnp.asarray(np.resize(part, (_BATCH, height, width)))  # one shape: compiled once
            found = _judged(self.network, padded)
            parts.append(tuple(np.asarray(array)[: len(part)] for array in found))
        features = np.concatenate([one for one, _ in parts])
        scores = np.concatenate([one for _, one in parts])
        return Classification(features, np.asarray(self.labels)[scores.argmax(1)])


def save_classifier(
    path: Path, network: LeNet, shape: tuple[int, int], labels: tuple[int, ...], card: dict
) -> None:
    """Write a classifier as one safetensors file, weights in half precision, with what its card says."""
    names = [field for field in LeNet.__dataclass_fields__]
    arrays = {name: np.asarray(getattr(network, name), np.float16) for name in names}
    meta = {"shape": json.dumps(shape), "labels": json.dumps(labels), "card": json.dumps(card)}
    Path(path).write_bytes(save(arrays, metadata=meta))


def load_classifier(path: str | Path | None = None) -> Classifier:
    """The shipped classifier of 28 x 28 digits, or one from a file; InputError for a file that is none."""
    return _shipped() if path is None else _read(Path(path))


@cache
def _shipped() -> Classifier:
    with resources.as_file(
        resources.files("thermogen") / "shipped" / "datasets" / "lenet.safetensors"
    ) as path:
        return _read(path)


def _read(path: Path) -> Classifier:
    require(path.is_file(), f"classifier {path} does not exist: check the path")
    content = path.read_bytes()
    try:
        arrays = load(content)
        with safe_open(path, "numpy") as file:
            meta = file.metadata() or {}
        network = LeNet(**{name: jnp.asarray(array, jnp.float32) for name, array in arrays.items()})
        height, width = json.loads(meta["shape"])
        labels = tuple(json.loads(meta["labels"]))
        scores = jax.eval_shape(
            lambda net, x: net.scores(net.features(x)), network, jnp.zeros((1, height, width))
        )
        if scores.shape[1] != len(labels):
            raise ValueError(f"{scores.shape[1]} outputs for {len(labels)} classes")
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is no classifier ({str(error).splitlines()[0][:80]}): give a file that "
            "tools/train_classifier.py wrote"
        ) from error
    return Classifier(network, (height, width), labels, hashlib.sha256(content).hexdigest())
