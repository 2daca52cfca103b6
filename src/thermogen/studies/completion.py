"""Half an image is shown on clamped units; the computer finishes it, and what it finished is read.

The control knows which condition to set from the clamped units alone: the most probable one, conditions
being Gaussian in the modes, with the mean of each and the covariance within its class that the computer
itself generates.
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
from thermogen.studies.progress import Stage, silent

_SURVEY = 6


@dataclass(frozen=True)
class Survey:
    """What a conditioned computer draws: mean of every condition, (K, visible), and per class the modes.

    factors: per class (visible, r), with covariance factors factors^T + noise within conditions.
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
    """Draw every condition a few times and keep its mean and the covariances. Cost: 6 samples each.

    By the model's own schedule and Euler–Maruyama, or as told.
    """
    control = _conditioned(model)
    conditions = np.tile(np.arange(len(control.classes)), _SURVEY)
    with stage("survey", len(conditions)) as tick:
        drawn = generate(
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
    x = drawn.x[:, control.units.slice("visible")].reshape(_SURVEY, len(control.classes), -1)
    means = x.mean(0)
    rest = (x - means) * np.sqrt(_SURVEY / (_SURVEY - 1))
    classes = np.asarray(control.classes)
    rank = min(128, x.shape[-1] - 1)
    factors, left = {}, []
    for label in control.labels:
        own = rest[:, classes == label].reshape(-1, x.shape[-1]).astype(float)
        size, vectors = np.linalg.eigh(own.T @ own / len(own))
        factors[label] = vectors[:, -rank:] * np.sqrt(np.maximum(size[-rank:], 0))
        left.append(size[:-rank].mean())
    # Six samples cannot tell a mean better than this; it counts as uncertainty of every pixel.
    return Survey(means, factors, float(np.mean(left)) + float(rest.var()) / _SURVEY)


def likely_conditions(
    known: Survey,
    control: ConditionSet,
    pixels: Bool[np.ndarray, " visible"],
    values: dict[int, Float[np.ndarray, "n visible"]],
) -> Int[np.ndarray, " n"]:
    """The most probable condition given the values of some pixels, by weight and Gaussian density.

    `values`: where the units would stand if the image were of a class.
    """
    classes = np.asarray(control.classes)
    scores = np.full((len(next(iter(values.values()))), len(classes)), -np.inf)
    prior = np.log(np.asarray(control.weights, float))
    for label, factors in known.factors.items():
        mine = np.flatnonzero(classes == label)
        shown = factors[pixels]
        covariance = shown @ shown.T + known.noise * np.eye(len(shown))
        _, logdet = np.linalg.slogdet(covariance)
        whiten = np.linalg.inv(np.linalg.cholesky(covariance))
        a, b = values[label][:, pixels] @ whiten.T, known.means[mine][:, pixels] @ whiten.T
        distance = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T
        scores[:, mine] = prior[mine] - distance / 2 - logdet / 2
    return scores.argmax(1)


def shown_values(model: Model, images: Images) -> dict[int, Float[np.ndarray, "n visible"]]:
    """Where the visible units stand when they show images of a class: their mean in the field of each pixel.

    Pixels are scaled by the average mean and standard deviation of the training images of that class, since
    those of an image of which half is hidden are not known.
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
    """Clamp `pixels` of every image and let the rest run; the samples and the completed images.

    Raises InputError for a model without conditions, images of another size, or a clamp of all pixels.
    """
    control = _conditioned(model)
    if images.shape != model.image_shape:
        raise InputError(
            f"images of {images.shape[0]} x {images.shape[1]} for a model of {model.image_shape[0]} x "
            f"{model.image_shape[1]}: give images of its size"
        )
    require(bool(pixels.any()), "no pixel is shown: clamp one row or more, or use 'thermogen sample'")
    possible = shown_values(model, images)
    conditions = likely_conditions(survey(model, seed, stage), control, pixels, possible)
    chosen = np.asarray(control.classes)[conditions]
    values = np.stack([possible[int(label)][row] for row, label in enumerate(chosen)])
    hold = Clamp.visible(control.units, pixels, values)
    with stage("completing", len(images)) as tick:
        samples = generate(
            stream(seed, "generation"),
            control,
            len(images),
            model.schedule,
            conditions=conditions,
            hold=hold,
            progress=lambda done, total: tick(done * len(images) // total, ""),
        )
    return samples, np.where(pixels, values, samples.visible)


def evaluate_completion(
    completed: np.ndarray, samples: Samples, images: Images, classifier: Classifier
) -> dict[str, Any]:
    """Whether completed images show the class of the whole ones: by the classifier, and by the condition set.

    ceiling: the classifier on the whole images.
    """
    flat = images.images.reshape(len(images), -1)
    verdict = classifier.classify(completed)
    return {
        "n": len(images),
        "completed": share(verdict.label == images.labels),
        "condition": share(samples.labels == images.labels),
        "ceiling": share(classifier.classify(flat).label == images.labels),
        "by_class": {
            str(label): float(np.mean(verdict.label[images.labels == label] == label))
            for label in np.unique(images.labels)
        },
    }


def _conditioned(model: Model) -> ModeTable:
    control = model.computer
    if not isinstance(control, ModeTable):
        raise InputError("this model has no table of conditions: train one by 'thermogen train-conditional'")
    return control
