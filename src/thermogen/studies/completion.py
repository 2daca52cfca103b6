"""Completion: clamped units show half an image, and the computer generates the other half.

The control has the most probable condition given the clamped units. Conditions are Gaussian in the modes,
with the mean of each condition and the covariance within its class, both of generated samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from thermogen.control import Clamp, ConditionSet, ModeTable
from thermogen.data import Images
from thermogen.errors import InputError, require
from thermogen.generation import Samples, generate
from thermogen.langevin import Integrator, mean_in_field
from thermogen.noising import Schedule
from thermogen.quality import Classifier
from thermogen.quality.evaluation import share
from thermogen.seeds import stream
from thermogen.storage.model import Model
from thermogen.studies.measures import check_shape, mean_by_class
from thermogen.studies.progress import Stage, silent

_SURVEY = 6


@dataclass(frozen=True)
class Survey:
    """Generated means (K, visible) of all conditions, and for each class the factors (visible, r).

    The covariance within conditions is factors factors^T + noise.
    """

    means: Float[np.ndarray, "K visible"]
    factors: dict[int, Float[np.ndarray, "visible r"]]
    noise: float


def survey(
    model: Model,
    seed: int = 0,
    stage: Stage = silent,
    schedule: Schedule | None = None,
    integrator: Integrator | None = None,
) -> Survey:
    """Mean and covariances of generated samples of every condition. Cost: 6 samples of each.

    Default: the schedule of the model, and Euler–Maruyama.
    """
    control = _conditioned(model)
    conditions = np.tile(np.arange(len(control.classes)), _SURVEY)
    with stage("survey", len(conditions)) as tick:
        samples = generate(
            stream(seed, "survey"),
            control,
            len(conditions),
            schedule or model.schedule,
            conditions=conditions,
            integrator=integrator,
            film_frames=1,
            film_samples=1,
            progress=lambda done, total: tick(done * len(conditions) // total, ""),
        )
    x = samples.x[:, control.units.slice("visible")].reshape(_SURVEY, len(control.classes), -1)
    means = x.mean(0)
    deviations = (x - means) * np.sqrt(_SURVEY / (_SURVEY - 1))
    classes = np.asarray(control.classes)
    rank = min(128, x.shape[-1] - 1)
    factors, remainders = {}, []
    for label in control.labels:
        own = deviations[:, classes == label].reshape(-1, x.shape[-1]).astype(float)
        variances, vectors = np.linalg.eigh(own.T @ own / len(own))
        factors[label] = vectors[:, -rank:] * np.sqrt(np.maximum(variances[-rank:], 0))
        remainders.append(variances[:-rank].mean())
    # The mean of six samples has this error: it counts as uncertainty of every pixel.
    return Survey(means, factors, float(np.mean(remainders)) + float(deviations.var()) / _SURVEY)


def likely_conditions(
    surveyed: Survey,
    control: ConditionSet,
    pixels: Bool[np.ndarray, " visible"],
    values: dict[int, Float[np.ndarray, "n visible"]],
) -> Int[np.ndarray, " n"]:
    """The most probable condition given the values of some pixels, by weight and Gaussian density.

    values: for each class, the values of the units if the image has this class.
    """
    classes = np.asarray(control.classes)
    scores = np.full((len(next(iter(values.values()))), len(classes)), -np.inf)
    prior = np.log(np.asarray(control.weights, float))
    for label, factors in surveyed.factors.items():
        own = np.flatnonzero(classes == label)
        shown = factors[pixels]
        covariance = shown @ shown.T + surveyed.noise * np.eye(len(shown))
        _, logdet = np.linalg.slogdet(covariance)
        whiten = np.linalg.inv(np.linalg.cholesky(covariance))
        a, b = values[label][:, pixels] @ whiten.T, surveyed.means[own][:, pixels] @ whiten.T
        distance = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T
        scores[:, own] = prior[own] - distance / 2 - logdet / 2
    return scores.argmax(1)


def shown_values(model: Model, images: Images) -> dict[int, Float[np.ndarray, "n visible"]]:
    """Values of the visible units that show images, by class: the mean in the field of each pixel.

    Pixels are scaled by the average mean and standard deviation of the training images of that class, since
    half of the image is hidden.
    """
    training = model.training
    flat = images.images.reshape(len(images), -1).astype(float)
    low, high = training["image_span"]
    flat = low + (flat - flat.min()) * ((high - low) / np.ptp(flat))
    control = _conditioned(model)
    force = {
        label: training["amplitude"]
        * (flat - training["image_mean"][str(label)])
        / training["image_std"][str(label)]
        for label in control.labels
    }
    J2, J4, _ = control.reference.alike()
    return {label: mean_in_field(f, J2, J4, float(control.kT)) for label, f in force.items()}


def complete(
    model: Model,
    images: Images,
    pixels: Bool[np.ndarray, " visible"],
    seed: int = 0,
    stage: Stage = silent,
) -> tuple[Samples, Float[np.ndarray, "n visible"]]:
    """Clamp `pixels` of every image and generate the rest; the samples and the completed images.

    Raises InputError for a model without conditions, images of another size, or a clamp of all pixels.
    """
    control = _conditioned(model)
    check_shape(model, images)
    require(bool(pixels.any()), "no pixel is shown: clamp one row or more, or use 'thermogen sample'")
    values = shown_values(model, images)
    conditions = likely_conditions(survey(model, seed, stage), control, pixels, values)
    labels = np.asarray(control.classes)[conditions]
    clamped = np.stack([values[int(label)][row] for row, label in enumerate(labels)])
    with stage("completing", len(images)) as tick:
        samples = generate(
            stream(seed, "generation"),
            control,
            len(images),
            model.schedule,
            conditions=conditions,
            clamp=Clamp.visible(control.units, pixels, clamped),
            progress=lambda done, total: tick(done * len(images) // total, ""),
        )
    return samples, np.where(pixels, clamped, samples.visible)


def evaluate_completion(
    completed: np.ndarray, samples: Samples, images: Images, classifier: Classifier
) -> dict[str, Any]:
    """Shares of completed images with the right class, by the classifier and by the condition.

    ceiling: the share of complete images, by the classifier.
    """
    flat = images.images.reshape(len(images), -1)
    right = classifier.classify(completed).label == images.labels
    return {
        "n": len(images),
        "completed": share(right),
        "condition": share(samples.labels == images.labels),
        "ceiling": share(classifier.classify(flat).label == images.labels),
        "by_class": mean_by_class(right, images.labels),
    }


def _conditioned(model: Model) -> ModeTable:
    control = model.computer
    if not isinstance(control, ModeTable):
        raise InputError("this model has no table of conditions: train one by 'thermogen train-conditional'")
    return control
