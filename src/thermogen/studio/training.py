"""Exact training from the page: digits, or the drawings of a visitor. It can be stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import contextmanager

import numpy as np

from thermogen.data import Images, load_digits
from thermogen.data.images import checked_images
from thermogen.errors import require
from thermogen.storage.model import Model
from thermogen.studies.experiment import prepare
from thermogen.studies.settings import Settings

HIDDEN = 512
"""Hidden units of a computer trained here, as in the published one."""


class Stopped(Exception):
    """The visitor stopped the training or closed the page."""


def digit_images(digits: tuple[int, ...]) -> Images:
    """The first shipped image of each of these classes."""
    return load_digits(digits)


def drawn_images(drawings: np.ndarray, image_shape: tuple[int, int]) -> Images:
    """Drawings (P, pixels) of levels. Free units count as paper. Each drawing is a class.

    Raises InputError for an empty drawing or two that are equal.
    """
    pictures = np.clip(drawings, 0, 255)
    for number, drawing in enumerate(pictures):
        require(bool(np.ptp(drawing) > 0), f"drawing {number} is empty: draw something, or take it out")
        for earlier in range(number):
            equal = np.array_equal(drawing, pictures[earlier])
            require(not equal, f"drawings {earlier} and {number} are equal: take one out")
    content = np.ascontiguousarray(pictures.astype(np.uint8))
    digest = hashlib.sha256(content.tobytes()).hexdigest()
    return checked_images(content.reshape(-1, *image_shape), np.arange(len(content)), "drawings", digest)


def train(images: Images, progress: Callable[[int, str], None], wanted: Callable[[], bool]) -> Model:
    """The exactly trained computer of these images: 512 hidden units with a code for each class.

    `progress(percent, note)`; raises `Stopped` at the next of these calls once `wanted()` is false.
    Cost: a third of a second for three digits, and some ten seconds of compiling the first time.
    """

    def tick(done: int, note: str) -> None:
        if not wanted():
            raise Stopped
        progress(done, note)

    @contextmanager
    def stage(name: str, total: int):
        tick(0, name)
        yield tick

    experiment = prepare(Settings.of("exact", digits=(), hidden=HIDDEN), images=images)
    return experiment.model(experiment.train(stage=stage))
