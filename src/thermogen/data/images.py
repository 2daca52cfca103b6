"""Grey images with their labels, a split of them, and their checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from thermogen.errors import InputError, require

_LARGEST_SIDE = 256


@dataclass(frozen=True)
class Images:
    """Grey images (P, height, width) with a label each, and their source.

    `sha256` is the checksum of the file; of a folder, that of the names and contents of its files in order.
    """

    images: Float[np.ndarray, "P height width"]
    labels: Int[np.ndarray, " P"]
    source: str
    sha256: str

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.images.shape[1], self.images.shape[2]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.images)

    def standardised(self) -> Float[np.ndarray, "P pixels"]:
        """Each image to zero mean and unit variance over its pixels, flattened.

        With amplitude A = 2 this scale sets the imprint to about 2.6 thermal widths, and with it the heat.
        """
        flat = self.images.reshape(len(self.images), -1).astype(float)
        return (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True)

    def grey(self) -> Float[np.ndarray, "P pixels"]:
        """Pixels as 0 to 1 over the whole set, (x - min) / (max - min), flattened, float32."""
        flat = self.images.reshape(len(self.images), -1).astype(np.float32)
        return (flat - flat.min()) / np.ptp(flat)

    def first(self, count: int) -> Images:
        """The first `count` images, or all if there are less."""
        return Images(self.images[:count], self.labels[:count], self.source, self.sha256)

    def choose(self, labels: Sequence[int], each: int = 1) -> Images:
        """The first `each` images of every label, in the order of `labels`; InputError for too few images."""
        require(len(labels) > 0, "no digit given: name at least one, e.g. 0,1,2")
        places = []
        for number, label in enumerate(labels):
            require(label not in labels[:number], f"class {label} is given twice: name each class once")
            members = np.flatnonzero(self.labels == label)
            if len(members) < each:
                present = ", ".join(str(number) for number in np.unique(self.labels))
                raise InputError(
                    f"class {label} has {len(members)} of {each} image(s) in {self.source}: "
                    f"choose among the classes {present}"
                )
            places.extend(members[:each])
        return Images(self.images[places], self.labels[places], self.source, self.sha256)


@dataclass(frozen=True)
class Split:
    """Images for training, and held-out ones for evaluation."""

    training: Images
    held_out: Images


def checked_images(images: np.ndarray, labels: np.ndarray | None, source: str, sha256: str = "") -> Images:
    """Arrays as `Images`; InputError that names the wrong value and the remedy."""
    if images.dtype.kind not in "buif":
        raise InputError(f"{source} holds {images.dtype} values: give numbers")
    images = images[None] if images.ndim == 2 else images
    if images.ndim == 4 and images.shape[3] in (3, 4):
        raise InputError(
            f"{source} has colour images, shape {images.shape}: convert them to grey, (count, height, width)"
        )
    if images.ndim != 3 or 0 in images.shape:
        raise InputError(f"{source} has shape {images.shape}: give images (count, height, width)")
    images = np.asarray(images, float)
    height, width = images.shape[1:]
    require(
        height * width >= 2 and max(height, width) <= _LARGEST_SIDE,
        f"{source} has images of {height} x {width} pixels: "
        f"give 2 pixels or more, sides up to {_LARGEST_SIDE}",
    )
    for number in np.flatnonzero(~np.isfinite(images).all((1, 2))):
        raise InputError(f"image {number} of {source} holds NaN or infinite pixels: replace them")
    for number in np.flatnonzero(np.ptp(images, (1, 2)) == 0):
        raise InputError(
            f"image {number} of {source} is constant: it cannot be scaled to unit variance; drop it"
        )
    labels = np.arange(len(images)) if labels is None else np.asarray(labels)
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.shape != (len(images),):
        raise InputError(
            f"{source} has {len(images)} images but labels of shape {labels.shape}: give one label per image"
        )
    finite = labels.dtype.kind in "biuf" and np.isfinite(labels).all()
    if not (finite and np.array_equal(labels, np.round(labels))):
        raise InputError(f"{source} has labels that are not whole numbers: give integer classes")
    return Images(images, labels.astype(int), source, sha256)
