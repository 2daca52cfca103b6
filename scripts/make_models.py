"""Make the models that ship with the package, with the figures of their cards.

Usage: python scripts/make_models.py MNIST.npz [NAME ...]

three-digits   exact training on the shipped digits 0, 1, 2, couplings compressed to low rank
published      the published rule, 100 cycles of sampled trajectories, full couplings
ten-digits     exact training on all of MNIST, 200 conditions in 64 shared modes
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

import thermogen as tg
from thermogen.experiment import Settings, prepare
from thermogen.measure import summary
from thermogen.modal import ModalSettings, modal_model, train_modal
from thermogen.quality.evaluation import share

TARGET = Path(__file__).parent.parent / "src" / "thermogen" / "models"
SAMPLES = 1000


def three_digits(mnist: str) -> tg.Model:
    """A computer that anyone can look into: 5,424 couplers through summing nodes."""
    return _trained(Settings.of(trainer="exact", compress=1e-4))


def published(mnist: str) -> tg.Model:
    """The published setting."""
    return _trained(Settings.of(trainer="batch"))


def ten_digits(mnist: str) -> tg.Model:
    """Any asked digit."""
    images = replace(tg.load_images(mnist), source="MNIST, 60,000 training images")
    settings = ModalSettings.of(clusters=20, modes=64)
    return modal_model(images, settings, train_modal(images, settings))


def _trained(settings: Settings) -> tg.Model:
    experiment = prepare(settings)
    return experiment.model(experiment.train())


MAKERS: dict[str, Callable[[str], tg.Model]] = {
    "three-digits": three_digits,
    "published": published,
    "ten-digits": ten_digits,
}


def figures(model: tg.Model) -> dict[str, Any]:
    """Heat, and how many samples show what they should, measured with a key of their own."""
    samples = tg.generate(jax.random.key(2026), model.computer, SAMPLES, model.schedule)
    found: dict[str, Any] = {"heat_kT": summary(samples.heat_kT), "work_kT": summary(samples.work_kT)}
    if model.prototypes is not None:
        scores = tg.prototype_scores(samples.visible, model.prototypes)
        found["prototype_correlation"] = summary(scores.best)
        found["above_0.7"] = share(scores.best > 0.7)
    if samples.labels is not None:
        found["class_right"] = share(tg.load_classifier().judge(samples.visible).label == samples.labels)
    return found


def main(mnist: str, *names: str) -> None:
    """Train, measure, and write the named models, or all."""
    for name in names or MAKERS:
        model = MAKERS[name](mnist)
        model = replace(model, figures=figures(model))
        folder = model.save_pretrained(TARGET / name, force=True)
        size = sum(path.stat().st_size for path in folder.iterdir())
        print(name, f"{size / 1e6:.2f} MB", {k: round(v["mean"], 4) for k, v in model.figures.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
