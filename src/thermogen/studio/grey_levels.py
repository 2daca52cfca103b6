"""From grey levels to states: mean positions of units for ink, paper and the pictures of classes."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Float

from thermogen.langevin import mean_in_field
from thermogen.noising import imprint_fields
from thermogen.seeds import stream
from thermogen.storage.model import Model

_UNKNOWN = (-0.5, 0.5)
"""States for paper and ink, for a model without training settings."""


@dataclass(frozen=True)
class GreyLevels:
    """Mean positions of units in the fields that imprint a picture.

    levels: of a visible unit for 256 levels from paper to ink. hidden: of the hidden units for the picture of
    each of the classes `labels`, (P, hidden); clamped there, they select the class. None if the card of the
    model does not determine them.
    """

    levels: Float[np.ndarray, " 256"]
    hidden: Float[np.ndarray, "P hidden"] | None
    labels: tuple[int, ...]

    @classmethod
    def of(cls, model: Model) -> GreyLevels:
        """From the training settings in the card of a model; x = <x> in the field, by quadrature."""
        reference = model.computer.uncoupled()
        uniform = all(np.ptp(np.asarray(values)) == 0 for values in (reference.J2, reference.J4))
        span = _standard_span(model)
        if not uniform or span is None or "amplitude" not in model.training:
            return cls(np.linspace(*_UNKNOWN, 256, dtype=np.float32), None, ())
        J2, J4, kT = (
            float(np.asarray(values).flat[0]) for values in (reference.J2, reference.J4, reference.kT)
        )
        force = model.training["amplitude"] * np.linspace(*span, 256)
        levels = mean_in_field(force[None], J2, J4, kT)[0]
        pictures = _hidden_fields(model)
        if pictures is None:
            return cls(levels, None, ())
        return cls(levels, mean_in_field(pictures, J2, J4, kT), tuple(model.data["labels"]))


def _standard_span(model: Model) -> tuple[float, float] | None:
    """Paper and ink of the training images, each standardised."""
    if model.prototypes is not None:
        return float(model.prototypes.min()), float(model.prototypes.max())
    training = model.training
    if "image_span" not in training:
        return None
    mean, std = (np.mean(list(training[name].values())) for name in ("image_mean", "image_std"))
    low, high = ((end - mean) / std for end in training["image_span"])
    return float(low), float(high)


def _hidden_fields(model: Model) -> np.ndarray | None:
    """The fields on the hidden units for every picture, if the card determines them."""
    hidden, training = model.computer.units.hidden, model.training
    labels = model.data.get("labels")
    if (
        not hidden
        or model.computer.labels
        or model.prototypes is None
        or labels is None
        or len(labels) != len(model.prototypes)
        or not {"imprint", "hidden_amplitude", "seed"} <= set(training)
    ):
        return None
    fields = imprint_fields(
        model.prototypes.astype(float),
        np.asarray(labels),
        hidden=hidden,
        imprint=training["imprint"],
        amplitude=training["amplitude"],
        hidden_amplitude=training["hidden_amplitude"],
        key=stream(training["seed"], "imprint"),
    )
    return np.asarray(jax.device_get(fields), float)[:, model.computer.units.slice("hidden")]
