"""Make the models that ship with the package, with the figures of their cards.

Usage: python scripts/make_models.py [MNIST.npz [NAME ...]]

Without any argument only docs/models.md is written anew, from the cards.

three-digits   exact training on the shipped digits 0, 1, 2, couplings compressed to low rank
published      the published rule, 100 cycles of sampled trajectories, full couplings
ten-digits     exact training on all of MNIST, 200 conditions in 64 shared modes
"""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from textwrap import fill
from typing import Any

import jax

import thermogen as tg
from thermogen.quality.evaluation import share
from thermogen.studies.conditional_training import ConditionalSettings, conditional_model, train_conditional
from thermogen.studies.experiment import prepare
from thermogen.studies.measures import summary
from thermogen.studies.settings import Settings

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
    settings = ConditionalSettings.of(clusters=20, modes=64)
    return conditional_model(images, settings, train_conditional(images, settings))


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


PAGE = TARGET.parents[2] / "docs" / "models.md"
TEXT = {
    "three-digits": (
        "The computer to look into: three digits, learnt exactly, its couplings compressed to low "
        "rank. 784 visible and 512 hidden units; the hidden ones carry a code for the digit, so a "
        "digit can be asked for by holding them (the live page does)."
    ),
    "ten-digits": (
        "Any asked digit: one wiring of 784 units and 64 modes, 200 conditions, learnt exactly from "
        "all of MNIST. A small version of the computer of [all ten digits](ten-digits.md), which has "
        "1,000 conditions of 128 modes."
    ),
    "published": (
        "The setting of the paper: three digits, tiled imprint, 100 cycles of sampled trajectories at"
        " the published rate, full couplings. Weaker pictures, mixtures and inverted digits included,"
        " as published."
    ),
}
FIRST = (
    "Three trained computers come with the package. Every command that takes a model folder takes "
    "their names, and so does `Model.from_pretrained`; a folder of the same name goes first."
)
FIGURES = (
    f"Figures: {SAMPLES:,} samples with a key of their own, by each model's own schedule and Euler–Maruyama;"
    " ± is one standard error, brackets are 95 % (Wilson). `python scripts/make_models.py MNIST.npz` "
    "makes them again."
)
LAST = (
    "**Made for** seeing, teaching and testing. **Not for** judging handwriting: `ten-digits` draws "
    "200 kinds of digits, and little between them. Trained on MNIST (LeCun, Cortes & Burges), CC "
    "BY-SA 3.0; the models are under the same licence."
)


def page() -> str:
    """The page of the models, from their cards."""
    lines = [
        "# Models that ship with it",
        "",
        fill(FIRST, 120),
        "",
        "```sh",
        "thermogen show ten-digits",
        "thermogen sample three-digits --count 100 --out digits.png",
        "thermogen studio",
        "```",
        "",
        fill(FIGURES, 120),
    ]
    for name in ("three-digits", "ten-digits", "published"):
        card = json.loads((TARGET / name / "card.json").read_text())
        known, size = card["figures"], sum(path.stat().st_size for path in (TARGET / name).iterdir())
        units, schedule = card["units"], card["schedule"]
        rows = {
            "units": f"{units['visible']} visible, {units['hidden']} hidden",
            "couplers": f"{card['couplers']:,} (the full matrix: {card['couplers_full']:,})",
            "learnt": f"{card['data']['source']}, {card['data']['prototypes']:,} images",
            "time": f"t_f = {schedule['t_f']:g}, dt = {schedule['dt']:g}, read-out {schedule['readout']:g}",
            "heat": f"{known['heat_kT']['mean']:,.0f} ± {known['heat_kT']['sem']:.0f} kT a sample",
        }
        if "class_right" in known:
            rows["class right"] = _interval(known["class_right"])
        if "above_0.7" in known:
            likeness = known["prototype_correlation"]
            rows["likeness to the nearest digit"] = f"{likeness['mean']:.3f} ± {likeness['sem']:.3f}"
            rows["likeness above 0.7"] = _interval(known["above_0.7"])
        rows["size"] = f"{size / 1e6:.2f} MB"
        rows["weights"] = f"sha256 `{card['weights']['sha256'][:16]}…`"
        lines += ["", f"## {name}", "", fill(TEXT[name], 120), "", "| | |", "|---|---|"]
        lines += [f"| {what} | {value} |" for what, value in rows.items()]
    lines += ["", fill(LAST, 120), ""]
    return "\n".join(lines)


def _interval(known: dict[str, float]) -> str:
    return f"{100 * known['mean']:.1f} % [{100 * known['low']:.1f}, {100 * known['high']:.1f}]"


def main(mnist: str | None = None, *names: str) -> None:
    """Train, measure, and write the named models, or all, and the page."""
    for name in (names or MAKERS) if mnist else ():
        model = MAKERS[name](mnist)
        model = replace(model, figures=figures(model))
        folder = model.save_pretrained(TARGET / name, force=True)
        size = sum(path.stat().st_size for path in folder.iterdir())
        print(name, f"{size / 1e6:.2f} MB", {k: round(v["mean"], 4) for k, v in model.figures.items()})
    PAGE.write_text(page())


if __name__ == "__main__":
    main(*sys.argv[1:])
