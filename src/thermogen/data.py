"""Images in: the digits that ship with the package, image files of the user, and their checks."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from thermogen.errors import InputError, require

_LARGEST_SIDE = 256
_NAMES = ("images", "labels"), ("train_images", "train_labels"), ("x_train", "y_train")
_TEST_NAMES = ("test_images", "test_labels"), ("x_test", "y_test")


@dataclass(frozen=True)
class Images:
    """Grey images (P, height, width) with a label each, and where they came from.

    `sha256` is the checksum of the file they were read from.
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

        The scale matters: with amplitude A = 2 it sets the imprint at about 2.6 thermal widths, and the
        heat of generation follows it.
        """
        flat = self.images.reshape(len(self.images), -1).astype(float)
        return (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True)

    def grey(self) -> Float[np.ndarray, "P pixels"]:
        """Pixels as 0 to 1 over the whole set, flattened, float32."""
        flat = self.images.reshape(len(self.images), -1).astype(np.float32)
        return (flat - flat.min()) / np.ptp(flat)

    def first(self, count: int) -> Images:
        """The first `count` images, or all if there are less."""
        return Images(self.images[:count], self.labels[:count], self.source, self.sha256)

    def choose(self, labels: Sequence[int], each: int = 1) -> Images:
        """The first `each` images of every label, in the order of `labels`; InputError for an empty class."""
        require(len(labels) > 0, "no digit asked for: name at least one, e.g. 0,1,2")
        twice = [label for label in labels if list(labels).count(label) > 1]
        require(not twice, f"class {twice[0] if twice else ''} is asked for twice: name each class once")
        present = sorted({int(label) for label in self.labels})
        places = []
        for label in labels:
            found = np.flatnonzero(self.labels == label)
            if len(found) < each:
                raise InputError(
                    f"class {label} has {len(found)} of {each} image(s) in {self.source}: "
                    f"choose among the classes {', '.join(map(str, present))}"
                )
            places.extend(found[:each])
        return Images(self.images[places], self.labels[places], self.source, self.sha256)


@dataclass(frozen=True)
class Split:
    """Images to learn from, and held-out ones to judge by."""

    training: Images
    held_out: Images


def load_split(path: str | Path | None = None) -> Split:
    """An image set with its test part, or with one image in five of every class held out.

    The shipped digits if `path` is None. InputError as `load_images`, and for a class that is not in both.
    """
    whole = load_digits() if path is None else load_images(path)
    test = None if path is None else _test_part(Path(path))
    if test is not None:
        held = checked_images(*test, f"test part of {path}", whole.sha256)
        return Split(whole, held)
    place = np.zeros(len(whole), int)
    for label in np.unique(whole.labels):
        mine = np.flatnonzero(whole.labels == label)
        place[mine] = np.arange(len(mine))
    out = place % 5 == 4
    require(bool(out.any()), f"{whole.source} has less than 5 images a class: too few to hold some out")

    def part(chosen: np.ndarray) -> Images:
        return Images(whole.images[chosen], whole.labels[chosen], whole.source, whole.sha256)

    return Split(part(~out), part(out))


def _test_part(path: Path) -> tuple[np.ndarray, np.ndarray | None] | None:
    if path.is_dir():
        images = _idx_part(path, "t10k-images")
        return None if images is None else _decode(images, images.read_bytes())
    if path.suffix.lower() != ".npz":
        return None
    with np.load(path, allow_pickle=False) as arrays:
        for images, labels in _TEST_NAMES:
            if {images, labels} <= set(arrays.files):
                return arrays[images], arrays[labels]
    return None


def load_digits(labels: Sequence[int] | None = None, each: int = 1) -> Images:
    """MNIST digits from the package: the first `each` training images of every class in `labels`.

    The package ships the first 100 of each class (all 1,000 if `labels` is None). The file's checksum is
    verified. Source: LeCun, Cortes & Burges, MNIST (1998), CC BY-SA 3.0.
    """
    folder = resources.files("thermogen") / "datasets"
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
    """Read an image set: .npz with `images` (and `labels`), .npy, idx(.gz), .png, or a folder.

    Also accepts the arrays `train_images`, `train_labels` or `x_train`, `y_train`; an IDX file of labels
    beside that of images; a folder of MNIST's IDX files, of .png files, or of folders of them named by
    class. Without labels each image is its own class.
    Raises InputError for a file that is no image set, NaN or infinite pixels, a constant image, labels
    that do not match the images.
    """
    path = Path(path)
    require(path.exists(), f"image file {path} does not exist: check the path")
    if path.is_dir():
        first = _idx_part(path, "train-images")
        return _folder(path) if first is None else load_images(first)
    content = path.read_bytes()
    try:
        images, labels = _decode(path, content)
    except (ValueError, KeyError, OSError, EOFError, struct.error, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path} is no image set ({_first_line(error)}): give .npz with 'images', .npy, idx or .png"
        ) from error
    return checked_images(images, labels, str(path), hashlib.sha256(content).hexdigest())


def checked_images(images: np.ndarray, labels: np.ndarray | None, source: str, sha256: str = "") -> Images:
    """Arrays as `Images`, or InputError saying which value is wrong and what would do."""
    if images.dtype.kind not in "buif":
        raise InputError(f"{source} holds {images.dtype} values: give numbers")
    images = np.asarray(images, float)
    images = images[None] if images.ndim == 2 else images
    if images.ndim != 3 or 0 in images.shape:
        raise InputError(f"{source} has shape {images.shape}: give images (count, height, width)")
    height, width = images.shape[1:]
    require(
        height * width >= 2 and max(height, width) <= _LARGEST_SIDE,
        f"{source} has images of {height} x {width} pixels: "
        f"give 2 pixels or more, sides up to {_LARGEST_SIDE}",
    )
    bad = np.flatnonzero(~np.isfinite(images).all((1, 2)))
    require(
        not len(bad),
        f"image {bad[0] if len(bad) else ''} of {source} holds NaN or infinite pixels: replace them",
    )
    flat = np.flatnonzero(np.ptp(images, (1, 2)) == 0)
    require(
        not len(flat),
        f"image {flat[0] if len(flat) else ''} of {source} is constant: "
        "it cannot be scaled to unit variance; drop it",
    )
    if labels is None:
        labels = np.arange(len(images))
    labels = np.asarray(labels)
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.shape != (len(images),):
        raise InputError(
            f"{source} has {len(images)} images but labels of shape {labels.shape}: give one label per image"
        )
    if labels.dtype.kind not in "biu" and not np.array_equal(labels, np.round(labels)):
        raise InputError(f"{source} has labels that are not whole numbers: give integer classes")
    return Images(images, labels.astype(int), source, sha256)


def _decode(path: Path, content: bytes) -> tuple[np.ndarray, np.ndarray | None]:
    name = path.name.lower()
    if name.endswith(".npz"):
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            for images, labels in _NAMES:
                if images in arrays.files:
                    return arrays[images], arrays[labels] if labels in arrays.files else None
            raise InputError(f"{path} holds {arrays.files}: name the array of images 'images'")
    if name.endswith(".npy"):
        return np.load(io.BytesIO(content), allow_pickle=False), None
    if name.endswith(".png"):
        from PIL import Image

        with Image.open(io.BytesIO(content)) as picture:
            return np.asarray(picture.convert("L")), None
    beside = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    labels = _idx(beside.read_bytes()) if beside != path and beside.is_file() else None
    return _idx(content), labels


def _idx(content: bytes) -> np.ndarray:
    """The array of an IDX file of bytes, compressed or not."""
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    zero, kind, rank = struct.unpack(">HBB", content[:4])
    if (zero, kind) != (0, 8) or rank not in (1, 2, 3):
        raise ValueError("unknown format")
    shape = struct.unpack(f">{rank}I", content[4 : 4 + 4 * rank])
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _idx_part(folder: Path, start: str) -> Path | None:
    """The IDX file of a folder whose name begins so, as MNIST is distributed."""
    found = sorted(path for path in folder.glob(f"{start}*") if path.is_file())
    return found[0] if found else None


def _folder(path: Path) -> Images:
    """PNG files: in a folder named by its number for each class, or flat, then each its own class."""
    from PIL import Image, UnidentifiedImageError

    files = sorted(path.glob("*/*.png")) or sorted(path.glob("*.png"))
    require(bool(files), f"{path} holds no .png files and no train-images: give a folder of images")
    nested = files[0].parent != path
    images, labels, digest = [], [], hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(file.relative_to(path).as_posix().encode() + content)
        try:
            with Image.open(io.BytesIO(content)) as picture:
                images.append(np.asarray(picture.convert("L")))
        except (UnidentifiedImageError, OSError) as error:
            raise InputError(f"{file} is no image: replace it or take it out") from error
        if images[-1].shape != images[0].shape:
            (h, w), (height, width) = images[-1].shape, images[0].shape
            raise InputError(f"{file} has {h} x {w} pixels, {files[0]} {height} x {width}: use one size")
        if nested:
            name = file.parent.name
            require(name.isdigit(), f"folder {file.parent} is not named by a number: name it by its class")
            labels.append(int(name))
    return checked_images(
        np.stack(images), np.array(labels) if nested else None, str(path), digest.hexdigest()
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__
