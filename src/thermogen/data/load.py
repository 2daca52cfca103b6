"""Image sets by path, complete or split, and the digits that ship with the package."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np

from thermogen.data.images import Images, Split, checked_images
from thermogen.data.read import read_test_part, read_training_part
from thermogen.errors import InputError, require

_ONE_IN = 5


def load_digits(labels: Sequence[int] | None = None, each: int = 1) -> Images:
    """MNIST digits from the package: the first `each` training images of every class in `labels`.

    The package ships the first 100 of each class (all 1,000 if `labels` is None). The file's checksum is
    verified. Source: LeCun, Cortes & Burges, MNIST (1998), CC BY-SA 3.0.
    """
    folder = resources.files("thermogen") / "shipped" / "datasets"
    card = json.loads((folder / "digits.json").read_text())
    content = (folder / "digits.npz").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    require(
        digest == card["sha256"],
        f"the shipped digits.npz has checksum {digest[:12]}…, not {card['sha256'][:12]}…: "
        "reinstall thermogen",
    )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        images, numbers = arrays["images"].astype(float), arrays["labels"].astype(int)
    digits = Images(images, numbers, "MNIST", digest)
    return digits if labels is None else digits.choose(labels, each)


def load_images(path: str | Path) -> Images:
    """Read an image set: .npz, .npy, idx(.gz), .png, or a folder.

    .npz: `images` and `labels`, `train_images` and `train_labels`, or `x_train` and `y_train`. idx: as MNIST;
    the labels are a file of the usual name in the same folder (images-idx3 -> labels-idx1). Folder: the IDX
    files of MNIST; or .png files in folders named by class (0/, 1/, ...); or .png files, all or none of which
    have names that begin with the class and _ or - (3_first.png). Sorted by name, numbers in it by value; all
    of one size. Only colour in .png files becomes grey. Without labels each image is its own class.
    Raises InputError for a file that is no image set, NaN or infinite pixels, a constant image, colour
    arrays, and labels that do not match the images.
    """
    path = Path(path)
    require(path.exists(), f"image file {path} does not exist: check the path")
    images, labels, digest = read_training_part(path)
    return checked_images(images, labels, str(path), digest)


def load_split(path: str | Path | None = None) -> Split:
    """An image set and its test part, or one image in five of every class held out if it has none.

    Test part: `test_images` and `test_labels`, `x_test` and `y_test`, or the t10k files of MNIST. Held out:
    the 5th, 10th, ... image of each class, the last one of a class of 2 to 4. The shipped digits if `path`
    is None. InputError as `load_images`; for a held-out class without training image; for a test part without
    labels or of another size.
    """
    images = load_digits() if path is None else load_images(path)
    test = None if path is None else read_test_part(Path(path))
    if test is None:
        return _hold_out(images)
    held_out = checked_images(*test, f"test part of {path}", images.sha256)
    (h, w), (height, width) = held_out.shape, images.shape
    require(
        held_out.shape == images.shape,
        f"{held_out.source} has images of {h} x {w} pixels, the training part {height} x {width}: "
        "use one size",
    )
    for label in np.setdiff1d(held_out.labels, images.labels):
        raise InputError(
            f"class {label} of the {held_out.source} has no training image: add some, or take it out"
        )
    return Split(images, held_out)


def _hold_out(images: Images) -> Split:
    out = np.zeros(len(images), bool)
    for label in np.unique(images.labels):
        members = np.flatnonzero(images.labels == label)
        if len(members) < 2:
            raise InputError(
                f"class {label} of {images.source} has 1 image, too few to hold one out: "
                "give 2 images or more of every class, or a test part"
            )
        out[members[_ONE_IN - 1 :: _ONE_IN] if len(members) >= _ONE_IN else members[-1:]] = True
    return Split(
        *(replace(images, images=images.images[rows], labels=images.labels[rows]) for rows in (~out, out))
    )
