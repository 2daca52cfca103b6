"""An image is shown on clamped units, and its class is read off the label units, which nothing holds."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from thermogen.control import LabelFields
from thermogen.couplings import NoCouplings, Units
from thermogen.data import Images
from thermogen.errors import InputError, require
from thermogen.generation import BATCH
from thermogen.langevin import LeimkuhlerMatthews, TimeSum, mean_in_field, sample_uncoupled, simulate
from thermogen.quality.evaluation import share
from thermogen.seeds import stream
from thermogen.storage.model import Model

_DT = 0.1  # label units at rest relax in 1 / 2 J2: a fifth of it


def classify_images(
    model: Model, images: Images, *, wait: float = 25.0, seed: int = 0
) -> Int[np.ndarray, " n"]:
    """The class of each image: that of the label unit that stands highest, on average over the time `wait`.

        dx_l = -mu (2 J2 x_l + 4 J4 x_l^3 + b_l + sum_i J_li x_i) dt + sqrt(2 mu kT) dW_l,   x_i clamped

    The clamped units stand where a unit stands on average in the field of its pixel. Label units are not
    coupled to each other, so that clamping the image leaves single units in fields. Their thermal noise
    averages out as sqrt(kT / (2 J2^2 mu wait)).
    Raises InputError for a model without label units, images of another size, or a wait below one step.
    """
    control = model.computer
    if not isinstance(control, LabelFields):
        raise InputError(
            "this model has no label units: train one with 'thermogen train-conditional --label-units'"
        )
    if images.shape != model.image_shape:
        raise InputError(
            f"images of {images.shape[0]} x {images.shape[1]} for a model of {model.image_shape[0]} x "
            f"{model.image_shape[1]}: give images of its size"
        )
    require(wait >= _DT, f"wait = {wait:g}: give {_DT:g} or more")
    steps = round(wait / _DT)
    whole, label = control.reference, control.units.slice("output")
    force = model.training["amplitude"] * images.standardised()
    # Label units are bare; the visible ones carry their diagonal J_ii in J2, which did not imprint images.
    alone = (float(np.asarray(value)[label][0]) for value in (whole.J2, whole.J4))
    shown = mean_in_field(force, *alone, kT=float(whole.kT))
    units = eqx.tree_at(
        lambda c: (c.J2, c.J4, c.couplings),
        whole,
        (whole.J2[label], whole.J4[label], NoCouplings(Units(0, output=control.units.output))),
    )
    found = []
    start_key, path_key = jax.random.split(stream(seed, "classification"))
    for first in range(0, len(images), BATCH):
        part = jnp.asarray(np.resize(np.arange(first, min(first + BATCH, len(images))), BATCH))
        x = jnp.zeros((BATCH, control.units.total)).at[:, control.units.slice("visible")].set(shown[part])
        felt = (whole.bias + whole.couplings.apply(x))[:, label]
        run = simulate(
            path_key,
            eqx.tree_at(lambda c: c.bias, units, felt),
            sample_uncoupled(start_key, units.uncoupled(), part),
            steps=steps,
            dt=_DT,
            integrator=LeimkuhlerMatthews(),
            observers={"sum": TimeSum(slice(0, control.units.output))},
            samples=part,
        )
        found.append(np.asarray(run.records["sum"][-1]).argmax(1)[: len(images) - first])
    return np.asarray(control.classes)[np.concatenate(found)]


def evaluate_classification(read: Int[np.ndarray, " n"], images: Images) -> dict[str, Any]:
    """Share of images whose class was read right, with its interval, and by class."""
    right = read == images.labels
    return {
        "n": len(images),
        "right": share(right),
        "by_class": {
            str(label): float(right[images.labels == label].mean()) for label in np.unique(images.labels)
        },
    }
