"""How much imperfection trained computers tolerate: every imperfection swept over five devices.

Three digits: five trainings, seed and device vary together. Ten digits: five devices of one training, on
2,000 images a class. Every finished device is kept: interrupted, it goes on.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jax

from benchmarks.common import RESULTS, keep
from benchmarks.ten_digits import EACH, MNIST, subset
from thermogen.cli.console import stage
from thermogen.data import load_split
from thermogen.experiment import Settings, prepare
from thermogen.hardware.imperfect import Imperfections
from thermogen.judge import reference_of
from thermogen.measure import interval
from thermogen.modal import ModalSettings, modal_model, train_modal
from thermogen.quality import load_classifier
from thermogen.report.tolerance import tolerance_figure, tolerance_markdown
from thermogen.store import Model
from thermogen.tolerance import FLAWS, default_values, sweep

DEVICES, THREE, TEN = 5, 200, 500
STEP, FINE = 1e-2, 1e-3
DOCS = Path(__file__).parent.parent / "docs"
TOGETHER = Imperfections(
    bits=6, bias_bits=6, coupling_limit=0.7, asymmetry=0.02, dead=0.01, mismatch_J2=0.05, mismatch_J4=0.05,
    mismatch_mobility=0.05, temperature_gradient=0.1, excess_noise=0.2, noise_time=0.01, readout_time=0.01,
    switching_time=0.01,
)  # fmt: skip
"""A device with almost everything wrong at once; offset, linear range and read-out noise follow the units."""


def three_digits(folder: Path) -> list[Model]:
    """One trained computer a seed, kept."""
    models = []
    for seed in range(DEVICES):
        place = folder / f"three-{seed}"
        if not place.exists():
            experiment = prepare(Settings.of("exact", seed=seed, dt=FINE))
            experiment.model(experiment.train()).save_pretrained(place)
        models.append(Model.from_pretrained(place))
    return models


def together(control: Any) -> Imperfections:
    """Everything wrong at once, for a computer."""
    middle = {name: default_values(name, control) for name in ("offset", "linear_range", "readout_noise")}
    base = Imperfections.named("offset", middle["offset"][0], TOGETHER)
    base = Imperfections.named("linear_range", middle["linear_range"][-1], base)
    return Imperfections.named("readout_noise", middle["readout_noise"][0], base)


def measured(models: Any, count: int, reference: Any, folder: Path) -> dict[str, Any]:
    """The step, every imperfection alone, and all of them together."""
    given = {"devices": DEVICES, "count": count, "reference": reference, "folder": folder, "stage": stage}
    first = models[0] if isinstance(models, list) else models
    steps = {f"{dt:g}": sweep(models, "bits", (8,), dt=dt, **given)["perfect"] for dt in (STEP, FINE)}
    change = {
        name: interval(
            [a[name] - b[name] for a, b in zip(*(one["runs"] for one in steps.values()), strict=True)]
        )
        for name in steps[f"{STEP:g}"]["runs"][0]
    }
    alone = [sweep(models, name, dt=STEP, **given) for name in FLAWS]
    all_of_it = sweep(
        models, "coupling_error", (0.02, 0.05, 0.1), dt=STEP, base=together(first.computer), **given
    )
    return {"steps": steps, "change_with_the_step": change, "alone": alone, "together": all_of_it}


def main(images: str = MNIST, folder: str = "runs/tolerance") -> None:
    """Measure, keep, and write docs/tolerance.md with its figures."""
    begun, place = time.perf_counter(), Path(folder)
    three = measured(three_digits(place), THREE, None, place / "devices")
    jax.clear_caches()
    split = load_split(images)
    settings = ModalSettings()
    small = subset(split.training, EACH)
    model = modal_model(small, settings, train_modal(small, settings, stage))
    ten = measured(model, TEN, reference_of(split, load_classifier()), place / "devices")
    keep("tolerance", {"three": three, "ten": ten, "seconds": time.perf_counter() - begun})
    write_page(json.loads((RESULTS / "tolerance.json").read_text()))


def write_page(figures: dict[str, Any]) -> None:
    """docs/tolerance.md and its pictures from the kept figures."""
    for name in ("three", "ten"):
        (DOCS / "images" / f"tolerance-{name}.png").write_bytes(tolerance_figure(figures[name]["alone"]))
    print("\n".join(tolerance_markdown(figures[name]["alone"]) for name in ("three", "ten")))


if __name__ == "__main__":
    main()
