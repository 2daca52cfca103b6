"""A trained model in one call, with the settings that are recommended for it.

digits = tg.load_digits([0, 1, 2])
model = tg.recipes.exact(digits)
samples = tg.generate(jax.random.key(0), model.computer, count=100, schedule=model.schedule)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thermogen.data import Images, Split
from thermogen.storage.model import Model
from thermogen.studies.conditional_training import ConditionalSettings, conditional_model, train_conditional
from thermogen.studies.experiment import prepare
from thermogen.studies.settings import Settings


def exact(images: Images, *, defect_map: Path | None = None, **settings: Any) -> Model:
    """Train exactly on a few images: a code of the label on the hidden units, trained visible biases.

        images      those to learn, one or more of each class; up to about ten in all
        defect_map  a file with the units and the dead couplers of the device to train for
        settings    fields of `thermogen.studies.settings.Settings`, e.g. hidden, dt, segments, compress, seed

    Raises InputError for a value that cannot be used, as `thermogen train` does.
    Source: docs/exact-training.md measures what each setting contributes. Cost: 0.2 s for 1,296 units, and
    some seconds of compilation.
    """
    return _trained(images, "exact", defect_map, settings)


def published(images: Images, **settings: Any) -> Model:
    """Train by sampled trajectories in the published setting: tiled imprint, batch rule, 100 cycles.

        images    those to learn
        settings  fields of `thermogen.studies.settings.Settings`, e.g. trainer ('online'), cycles, seed

    Raises InputError for a value that cannot be used, and DivergenceError for a dt that is too large.
    Source: Whitelam, PRL 136, 037101 (2026). Cost: 0.07 s a cycle for 1,296 units on two cores.
    """
    return _trained(images, settings.pop("trainer", "batch"), None, settings)


def conditional(images: Images | Split, **settings: Any) -> Model:
    """Train a class-conditional computer on many labelled images: clusters of each class, shared modes.

        images    labelled images with several of each class; of a `Split`, its training part
        settings  fields of `thermogen.studies.conditional_training.ConditionalSettings`, e.g. clusters, modes

    Raises InputError for a class with one image, as `thermogen train-conditional` does.
    Cost: half a minute for 60,000 digits in 1,000 conditions of 128 modes, two cores.
    """
    training = images.training if isinstance(images, Split) else images
    chosen = ConditionalSettings.of(**settings)
    return conditional_model(training, chosen, train_conditional(training, chosen))


def _trained(images: Images, trainer: str, defect_map: Path | None, settings: dict[str, Any]) -> Model:
    experiment = prepare(Settings.of(trainer, digits=(), **settings), defect_map, images)
    return experiment.model(experiment.train())
