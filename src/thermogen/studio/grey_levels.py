"""What a drawing means to a computer: where its units stand for ink, for paper, and for an asked picture."""

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
"""Default values of paper and ink for a model that does not say how it was trained."""


@dataclass(frozen=True)
class GreyLevels:
    """Mean positions of units in the fields that imprint a picture.

    levels: of a visible unit for 256 levels from paper to ink. hidden: for every picture that can be asked
    for by holding the hidden units, (P, hidden), of classes `labels`; None if the model has no such pictures.
    """

    levels: Float[np.ndarray, " 256"]
    hidden: Float[np.ndarray, "P hidden"] | None
    labels: tuple[int, ...]

    @classmethod
    def of(cls, model: Model) -> GreyLevels:
        """From what the card of a model says of its training; x = <x> in the field, by quadrature."""
        reference = model.computer.uncoupled()
        same = all(len(np.unique(np.asarray(one))) == 1 for one in (reference.J2, reference.J4))
        span = _standard_span(model)
        if not same or span is None or "amplitude" not in model.training:
            return cls(np.linspace(*_UNKNOWN, 256, dtype=np.float32), None, ())
        J2, J4, kT = (float(np.asarray(one).flat[0]) for one in (reference.J2, reference.J4, reference.kT))
        force = model.training["amplitude"] * np.linspace(*span, 256)
        levels = mean_in_field(force[None], J2, J4, kT)[0]
        pictures = _hidden_fields(model)
        if pictures is None:
            return cls(levels, None, ())
        return cls(levels, mean_in_field(pictures, J2, J4, kT), tuple(model.data["labels"]))

    def level_of(self, x: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
        """States as levels from 0, paper, to 1, ink."""
        return np.interp(x, self.levels, np.linspace(0, 1, 256))


def _standard_span(model: Model) -> tuple[float, float] | None:
    """Paper and ink of the training images, each standardised."""
    if model.prototypes is not None:
        return float(model.prototypes.min()), float(model.prototypes.max())
    known = model.training
    if "image_span" not in known:
        return None
    mean, std = (np.mean(list(known[name].values())) for name in ("image_mean", "image_std"))
    low, high = ((end - mean) / std for end in known["image_span"])
    return float(low), float(high)


def _hidden_fields(model: Model) -> np.ndarray | None:
    """The fields that hidden units felt for every picture, if the card tells all that decided them."""
    hidden, known = model.computer.units.hidden, model.training
    labels = model.data.get("labels")
    if (
        not hidden
        or model.computer.labels
        or model.prototypes is None
        or labels is None
        or len(labels) != len(model.prototypes)
        or not {"imprint", "hidden_amplitude", "seed"} <= set(known)
    ):
        return None
    whole = imprint_fields(
        model.prototypes.astype(float),
        np.asarray(labels),
        hidden=hidden,
        imprint=known["imprint"],
        amplitude=known["amplitude"],
        hidden_amplitude=known["hidden_amplitude"],
        key=stream(known["seed"], "imprint"),
    )
    return np.asarray(jax.device_get(whole), float)[:, model.computer.units.slice("hidden")]
