"""Make the models that ship with the package, with the figures of their cards.

Usage: python scripts/make_models.py [MNIST.npz [NAME ...]]

Without arguments the script only writes docs/models.md from the cards.

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

TARGET = Path(__file__).parent.parent / "src" / "thermogen" / "shipped" / "models"
SAMPLES = 1000


def three_digits(mnist: str) -> tg.Model:
    """Three digits, trained exactly: 5,424 couplers through summing nodes."""
    return _trained(Settings.of(trainer="exact", compress=1e-4))


def published(mnist: str) -> tg.Model:
    """The published setting."""
    return _trained(Settings.of(trainer="batch"))


def ten_digits(mnist: str) -> tg.Model:
    """The class-conditional computer."""
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
    """Heat and share of correct samples, measured with a separate key."""
    samples = tg.generate(jax.random.key(2026), model.computer, SAMPLES, model.schedule)
    found: dict[str, Any] = {"heat_kT": summary(samples.heat_kT), "work_kT": summary(samples.work_kT)}
    if model.prototypes is not None:
        scores = tg.quality.prototype_scores(samples.visible, model.prototypes)
        found["prototype_correlation"] = summary(scores.best)
        found["above_0.7"] = share(scores.best > 0.7)
    if samples.labels is not None:
        found["class_right"] = share(
            tg.quality.load_classifier().classify(samples.visible).label == samples.labels
        )
    return found


PAGE = TARGET.parents[3] / "docs" / "models.md"
TEXT = {
    "three-digits": (
        "Three digits, trained exactly, with couplings compressed to low rank. The hidden units carry a "
        "code for the digit. Clamping them selects the digit, as the live page does."
    ),
    "ten-digits": (
        "A class-conditional computer: one wiring of 784 units and 64 modes, 200 conditions, trained exactly "
        "on all of MNIST. The computer of [all ten digits](all-classes.md) is larger: 1,000 conditions of "
        "128 modes."
    ),
    "published": (
        "The setting of the paper: three digits, tiled imprint, 100 cycles of sampled trajectories at the "
        "published rate, full couplings. Its images are weaker and include mixtures and inverted digits, as "
        "published."
    ),
}
FIRST = (
    "Three trained computers come with the package. Every command that takes a model folder, and "
    "`Model.from_pretrained`, also take their names. A folder of the same name takes precedence."
)
FIGURES = (
    f"Figures: {SAMPLES:,} samples with a separate key, by the schedule of each model and Euler–Maruyama; "
    "± is one standard error, brackets are 95 % (Wilson). *Correlation* is the correlation with the nearest "
    "prototype. `python scripts/make_models.py MNIST.npz` makes the models again."
)
LAST = (
    "**Use** them for demonstration, teaching and testing. **Do not use** them to assess handwriting: "
    "`ten-digits` draws 200 clusters of digits, and little between them. The training data is MNIST (LeCun, "
    "Cortes & Burges), CC BY-SA 3.0. The models have the same licence."
)


def page() -> str:
    """The page of the models, from their cards."""
    lines = [
        "# Shipped models",
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
            "data": f"{card['data']['source']}, {card['data']['prototypes']:,} images",
            "time": f"t_f = {schedule['t_f']:g}, dt = {schedule['dt']:g}, read-out {schedule['readout']:g}",
            "heat": f"{known['heat_kT']['mean']:,.0f} ± {known['heat_kT']['sem']:.0f} kT a sample",
        }
        if "class_right" in known:
            rows["class right"] = _interval(known["class_right"])
        if "above_0.7" in known:
            correlation = known["prototype_correlation"]
            rows["correlation"] = f"{correlation['mean']:.3f} ± {correlation['sem']:.3f}"
            rows["correlation above 0.7"] = _interval(known["above_0.7"])
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
