"""Imprints: the field of the hidden units for each image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from thermogen.couplings import MOST_DENSE_PAIRS
from thermogen.errors import InputError, require
from thermogen.seeds import stream


class Imprinted(NamedTuple):
    """The input of an imprint: images (P, pixels), zero mean and unit variance; labels (P,); amplitudes."""

    images: np.ndarray
    labels: np.ndarray
    amplitude: float
    hidden_amplitude: float


def tile(images: Imprinted, hidden: int, key: Key[Array, ""]) -> np.ndarray:
    """Hidden unit a feels A times pixel (pixels + a) mod pixels, i.e. the image repeated.

    Source: the published program of Whitelam, PRL 136, 037101 (2026).
    """
    return images.amplitude * images.images[:, np.arange(hidden) % images.images.shape[1]]


def projection(images: Imprinted, hidden: int, key: Key[Array, ""]) -> np.ndarray:
    """Hidden fields A P^T s with a fixed random matrix P, entries N(0, 1 / pixels).

    Source: Wang & Deng, arXiv:2609.15439.
    """
    pixels = images.images.shape[1]
    require(
        pixels * hidden <= MOST_DENSE_PAIRS,
        f"imprint 'projection' needs a matrix of {pixels:,} x {hidden:,}: use 'code' or 'tile' instead",
    )
    matrix = np.asarray(jax.random.normal(key, (pixels, hidden), jnp.float32), float) / np.sqrt(pixels)
    return images.amplitude * images.images @ matrix


def groups(images: Imprinted, hidden: int, key: Key[Array, ""]) -> np.ndarray:
    """One group of units per label: +A' on the image's own group, -A' / (P - 1) on the others.

    A' = `hidden_amplitude`, P the number of distinct labels. Few units carry a label when P is large.
    """
    classes, member = _classes(images, hidden, "groups")
    group = np.arange(hidden) * len(classes) // hidden
    own = member[:, None] == group[None]
    return images.hidden_amplitude * np.where(own, 1.0, -1.0 / (len(classes) - 1))


def code(images: Imprinted, hidden: int, key: Key[Array, ""]) -> np.ndarray:
    """Every unit takes part in every label: orthogonal patterns of signs w_p, less their mean.

        f_p = A' sqrt(P / (2 P - 2)) (w_p - mean_q w_q),    w_p . w_q = 0,    w_p . w_p = hidden

    The root mean square field is A' / sqrt(2) for any P, as in `groups` for three labels. A' =
    `hidden_amplitude` (4 to 6 E0 work well). Meant to be trained together with the visible biases.
    The patterns are Walsh functions, made orthogonal where `hidden` is no power of two (Loewdin).
    """
    classes, member = _classes(images, hidden, "code")
    count = len(classes)
    # Rows 1 to P of the Walsh-Hadamard matrix: signs by the parity of the common bits of row and column.
    common = np.arange(1, count + 1)[:, None] & np.arange(hidden)
    walsh = 1 - 2 * (np.bitwise_count(common) & 1).astype(int)
    values, vectors = np.linalg.eigh(walsh @ walsh.T / hidden)
    patterns = vectors / np.sqrt(values) @ vectors.T @ walsh
    patterns = patterns - patterns.mean(0)
    return images.hidden_amplitude * np.sqrt(count / (2 * count - 2)) * patterns[member]


def _classes(images: Imprinted, hidden: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    classes, member = np.unique(images.labels, return_inverse=True)
    require(len(classes) > 1, f"imprint {name!r} needs at least two labels: give more classes, or use 'tile'")
    require(
        hidden > len(classes),
        f"imprint {name!r} needs more hidden units than labels: {hidden} for {len(classes)} labels",
    )
    return classes, member.reshape(-1)


Imprint = Callable[[Imprinted, int, Array], np.ndarray]
IMPRINTS: dict[str, Imprint] = {"tile": tile, "projection": projection, "groups": groups, "code": code}
"""Imprints by name. A new one maps (images, hidden units, key) to hidden fields (P, hidden) in E0."""


def imprint_fields(
    images: np.ndarray,
    labels: np.ndarray | Sequence[int],
    hidden: int,
    *,
    output: int = 0,
    imprint: str = "tile",
    amplitude: float = 2.0,
    hidden_amplitude: float = 6.0,
    key: Key[Array, ""] | None = None,
) -> Float[Array, "P N"]:
    """Fields of all units for each image: A s_i on the visible units, the imprint on the hidden ones, in E0.

    Output units, if any, always feel the label as in `groups`.

    `images` (P, pixels), each of zero mean and unit variance; `amplitude` A = 2 belongs to J2 = 1, kT = 0.1.
    Without a hidden field the expected gradient of every visible–hidden coupling vanishes at J = 0, and
    training learns only noise.
    `key` seeds the projection matrix. Raises InputError for an unknown imprint.
    """
    if imprint not in IMPRINTS:
        raise InputError(f"unknown imprint {imprint!r}: choose one of {', '.join(IMPRINTS)}")
    images = np.asarray(images, float).reshape(len(images), -1)
    source = Imprinted(images, np.asarray(labels), amplitude, hidden_amplitude)
    key = stream(0, "imprint") if key is None else key
    nothing = np.zeros((len(images), 0))
    imprinted = IMPRINTS[imprint](source, hidden, key) if hidden else nothing
    labelled = groups(source, output, key) if output else nothing
    return jnp.asarray(np.concatenate([amplitude * images, imprinted, labelled], 1), jnp.float32)
