"""Arrays of images and labels from files and folders; their values are not checked here."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from thermogen.errors import InputError, require

_NAMES = ("images", "labels"), ("train_images", "train_labels"), ("x_train", "y_train")
_TEST_NAMES = ("test_images", "test_labels"), ("x_test", "y_test")
_UNREADABLE = (
    ValueError,
    KeyError,
    OSError,
    EOFError,
    SyntaxError,  # how Pillow reports some broken .png files
    NotImplementedError,  # zip compression that zipfile lacks
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)

Arrays = tuple[np.ndarray, np.ndarray | None]


def read_training_part(path: Path) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Images and labels for training, and the sha256 of the file; of names and contents for a folder."""
    if not path.is_dir():
        with _readable(path):
            content = path.read_bytes()
            return *_decode(path, content), hashlib.sha256(content).hexdigest()
    first = _idx_file(path, "train-images")
    if first is None:
        return _pictures(path)
    with _readable(first):
        arrays = _decode(first, first.read_bytes())
    test = _idx_file(path, "t10k-images")
    files = [file for images in (first, test) if images for file in (images, _label_file(images)) if file]
    return *arrays, _digest(path, files)


def read_test_part(path: Path) -> Arrays | None:
    """Images and labels of the test part, None if there is none; InputError if it has no labels."""
    if path.is_dir():
        file = _idx_file(path, "t10k-images")
        if file is None or _idx_file(path, "train-images") is None:
            return None
        with _readable(file):
            images, labels = _decode(file, file.read_bytes())
        require(labels is not None, f"{file} has no t10k-labels file in its folder: add it, or take it out")
        return images, labels
    if path.suffix.lower() != ".npz":
        return None
    with _readable(path), np.load(path, allow_pickle=False) as arrays:
        for images, labels in _TEST_NAMES:
            if images in arrays.files:
                require(
                    labels in arrays.files,
                    f"{path} has {images} but no {labels}: add them, or leave {images} out",
                )
                return arrays[images], arrays[labels]
    return None


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """An error of reading becomes an InputError that names the file."""
    try:
        yield
    except InputError:
        raise
    except _UNREADABLE as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise InputError(
            f"{path} is no image set ({reason}): give .npz with 'images', .npy, idx or .png"
        ) from error


def _decode(path: Path, content: bytes) -> Arrays:
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
        return _picture(content), None
    images, file = _idx(content), _label_file(path)
    try:
        return images, None if file is None else _idx(file.read_bytes())
    except _UNREADABLE as error:
        raise InputError(f"{file} holds no labels in IDX format: replace it or take it out") from error


def _picture(content: bytes) -> np.ndarray:
    from PIL import Image

    with Image.open(io.BytesIO(content)) as picture:
        deep = picture.mode.startswith(("I", "F"))  # 16 bits a pixel; "L" would clip them at 255
        return np.asarray(picture if deep else picture.convert("L"))


def _idx(content: bytes) -> np.ndarray:
    """The array of an IDX file of bytes, compressed or not."""
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    zero, kind, rank = struct.unpack(">HBB", content[:4])
    if (zero, kind) != (0, 8) or rank not in (1, 2, 3):
        raise ValueError("unknown format")
    shape = struct.unpack(f">{rank}I", content[4 : 4 + 4 * rank])
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _idx_file(folder: Path, start: str) -> Path | None:
    """The first IDX file of a folder whose name begins with `start`, as MNIST is distributed."""
    files = (path for path in folder.glob(f"{start}*") if path.is_file() and path.suffix.lower() != ".png")
    return min(files, default=None)


def _label_file(images: Path) -> Path | None:
    """The IDX file of labels in the folder of that of images, compressed or not."""
    name = images.name.replace("images", "labels").replace("idx3", "idx1")
    plain = name.removesuffix(".gz")
    files = [images.with_name(choice) for choice in (name, plain, f"{plain}.gz")]
    return next((file for file in files if name != images.name and file.is_file()), None)


def _pictures(folder: Path) -> tuple[np.ndarray, np.ndarray | None, str]:
    """PNG files of a folder, flat or in a folder for each class."""

    def pngs(pattern: str) -> list[Path]:
        files = (file for file in folder.glob(pattern) if file.suffix.lower() == ".png")
        return sorted(files, key=lambda file: (_natural(file.parent.name), _natural(file.name)))

    flat, nested = pngs("*"), pngs("*/*")
    require(
        bool(flat or nested), f"{folder} holds no .png files and no train-images: give a folder of images"
    )
    require(
        not (flat and nested), f"{folder} holds .png files and folders of them: keep the ones or the others"
    )
    files, images = flat or nested, []
    for file in files:
        try:
            images.append(_picture(file.read_bytes()))
        except _UNREADABLE as error:
            raise InputError(f"{file} is no image: replace it or take it out") from error
        (h, w), (height, width) = images[-1].shape, images[0].shape
        require(
            images[-1].shape == images[0].shape,
            f"{file} has {h} x {w} pixels, {files[0]} {height} x {width}: use one size",
        )
    return np.stack(images), _labels(files, bool(nested)), _digest(folder, files)


def _labels(files: list[Path], nested: bool) -> np.ndarray | None:
    """The names of the folders, or the numbers before the first _ or - of the names, if all have one."""
    if not nested:
        numbers = [re.match("([0-9]{1,9})[_-]", file.name) for file in files]
        return np.array([int(number[1]) for number in numbers if number]) if all(numbers) else None
    for file in files:
        require(
            re.fullmatch("[0-9]{1,9}", file.parent.name) is not None,
            f"folder {file.parent} is not named by a number: name it by its class",
        )
    return np.array([int(file.parent.name) for file in files])


def _natural(name: str) -> tuple[list[str | int], str]:
    """Order in which 2 comes before 10; the name itself orders 1 and 01."""
    pieces = re.split("([0-9]+)", name)
    return [int(piece) if number % 2 else piece for number, piece in enumerate(pieces)], name


def _digest(folder: Path, files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(folder).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()
