"""Classification: visible units show an image, and the label units give its class."""

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
from thermogen.studies.measures import check_shape, mean_by_class

_DT = 0.1  # a fifth of the relaxation time 1 / 2 J2 of label units at rest


def classify_images(
    model: Model, images: Images, *, wait: float = 25.0, seed: int = 0
) -> Int[np.ndarray, " n"]:
    """The class of each image: that of the label unit with the highest mean over the time `wait`.

        dx_l = -mu (2 J2 x_l + 4 J4 x_l^3 + b_l + sum_i J_li x_i) dt + sqrt(2 mu kT) dW_l,   x_i clamped

    Clamped units have the mean value of a unit in the field of its pixel. Label units are not coupled to each
    other: with a clamped image they are single units in fields. The noise of their mean is
    sqrt(kT / (2 J2^2 mu wait)).
    Raises InputError for a model without label units, images of another size, or a wait below one step.
    """
    control = model.computer
    if not isinstance(control, LabelFields):
        raise InputError(
            "this model has no label units: train one with 'thermogen train-conditional --label-units'"
        )
    check_shape(model, images)
    require(wait >= _DT, f"wait = {wait:g}: give {_DT:g} or more")
    steps = round(wait / _DT)
    computer, label = control.reference, control.units.slice("output")
    force = model.training["amplitude"] * images.standardised()
    # J2 of the visible units contains their diagonal J_ii, which was absent when images were imprinted.
    single = (float(np.asarray(value)[label][0]) for value in (computer.J2, computer.J4))
    shown = mean_in_field(force, *single, kT=float(computer.kT))
    units = eqx.tree_at(
        lambda c: (c.J2, c.J4, c.couplings),
        computer,
        (computer.J2[label], computer.J4[label], NoCouplings(Units(0, output=control.units.output))),
    )
    classes = []
    start_key, path_key = jax.random.split(stream(seed, "classification"))
    for first in range(0, len(images), BATCH):
        rows = jnp.asarray(np.resize(np.arange(first, min(first + BATCH, len(images))), BATCH))
        x = jnp.zeros((BATCH, control.units.total)).at[:, control.units.slice("visible")].set(shown[rows])
        bias = (computer.bias + computer.couplings.apply(x))[:, label]
        run = simulate(
            path_key,
            eqx.tree_at(lambda c: c.bias, units, bias),
            sample_uncoupled(start_key, units.uncoupled(), rows),
            steps=steps,
            dt=_DT,
            integrator=LeimkuhlerMatthews(),
            observers={"sum": TimeSum(slice(0, control.units.output))},
            samples=rows,
        )
        classes.append(np.asarray(run.records["sum"][-1]).argmax(1)[: len(images) - first])
    return np.asarray(control.classes)[np.concatenate(classes)]


def evaluate_classification(read: Int[np.ndarray, " n"], images: Images) -> dict[str, Any]:
    """Share of images with the right class, with its interval, and by class."""
    right = read == images.labels
    return {"n": len(images), "right": share(right), "by_class": mean_by_class(right, images.labels)}
