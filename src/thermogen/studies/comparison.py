"""The generator and its baselines by the same measures: quality, time, operations and energy."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np

from thermogen.baselines import Baseline, fit_bernoulli, fit_boltzmann, fit_denoiser, fit_mixture
from thermogen.control import ModeTable
from thermogen.data import Images, Split
from thermogen.errors import InputError, require
from thermogen.ledger import DigitalDenoiser, joules_of_kT
from thermogen.quality import Classifier, Reference, controls, evaluate
from thermogen.report.films import write_png_grid
from thermogen.report.quality import comparison_markdown, quality_energy_figure, quality_time_figure
from thermogen.seeds import stream
from thermogen.storage.cache import ResultCache
from thermogen.storage.model import Model, versions
from thermogen.storage.run_folder import RunFolder, write_atomically
from thermogen.studies.conditional_training import ConditionalSettings, conditional_model, train_conditional
from thermogen.studies.evaluation import FEWEST, brief, draw, evaluate_samples, quality_in_time, reference_of
from thermogen.studies.progress import Stage, silent
from thermogen.studies.time_step import at_step

OUTPUTS = ("comparison.json", "comparison.md", "quality-energy.png", "quality-time.png", "grids", "model",
           "matched")  # fmt: skip

_SIMULATED, _MODELLED = "heat at 300 K, simulated", "multiply-adds at 1 pJ, modelled"
_TIMES = (0.5, 2.5, 10.0, 25.0, 100.0, 400.0, 1600.0)
MATCH = 0.3
"""Share of the variance of the data that the matched generator has."""
_IN_TIME = 250  # samples followed in time

Fit = Callable[[Any, Images], Baseline]


def _denoiser(steps: int, conditional: bool) -> Fit:
    return lambda key, images: fit_denoiser(
        key, images.grey(), images.labels, steps=steps, conditional=conditional
    )


BASELINES: dict[str, Fit] = {
    **{f"denoiser-{steps}": _denoiser(steps, True) for steps in (10, 100, 1000)},
    **{f"denoiser-{steps}-free": _denoiser(steps, False) for steps in (10, 100, 1000)},
    "boltzmann": lambda key, images: fit_boltzmann(key, images.grey(), images.labels),
    "rbm": lambda key, images: fit_bernoulli(key, images.grey(), images.labels),
    "gaussians": lambda key, images: fit_mixture(images.grey(), images.labels, components=1),
    "mixtures-20": lambda key, images: fit_mixture(images.grey(), images.labels, components=20),
}
"""Baselines by name. 'free' denoisers are not conditional on the class."""


def compare_generators(
    split: Split,
    settings: ConditionalSettings,
    count: int,
    out: Path,
    *,
    classifier: Classifier,
    baselines: str = "all",
    dt: str | float | None = None,
    resume: bool = False,
    force: bool = False,
    stage: Stage = silent,
) -> dict[str, Any]:
    """Train and evaluate all generators with `count` samples into the folder `out`; return comparison.json.

    dt: time step of generation, see `at_step`. Finished generators are kept: with `resume` an interrupted run
    continues. Raises InputError for an unknown baseline, too few samples, or a folder with other content.
    """
    chosen = list(BASELINES) if baselines == "all" else [name for name in baselines.split(",") if name]
    for name in chosen:
        if name not in BASELINES:
            raise InputError(f"unknown baseline {name!r}: choose among {', '.join(BASELINES)}, or all")
    require(count >= FEWEST, f"count = {count}: give {FEWEST} samples or more to evaluate")
    reference = reference_of(split, classifier)
    run = {"count": count, "data": split.training.sha256, "baselines": chosen, "generation_dt": dt}
    folder = RunFolder(out, {**asdict(settings), **run, "classifier": classifier.sha256}, OUTPUTS)
    finished = folder.claim(resume=resume, force=force)
    if finished is not None:
        return finished
    (out / "grids").mkdir(exist_ok=True)
    cache = ResultCache(folder.work / "rows")

    def kept(name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        def timed() -> dict[str, Any]:
            with folder.clock(name):
                return make()

        return cache.result(name, {**folder.identity, "row": name}, timed)

    shared = {name: getattr(settings, name) for name in ("clusters", "modes", "dt", "seed")}
    matched = ConditionalSettings.of(match=MATCH, **shared)
    rows: list[dict[str, Any]] = []
    curves: dict[str, Any] = {}
    for name, title, own in (
        ("thermodynamic", "thermodynamic", settings), ("matched", "thermodynamic, matched", matched)
    ):  # fmt: skip
        figures = kept(name, lambda t=title, s=own: _own(t, split, s, count, out, reference, stage, dt))
        rows += figures["rows"]
        curves[name] = figures["in_time"]
    ceiling = kept("real", lambda: controls(reference, min(count, len(reference.held_out))))
    for name in chosen:
        key = jax.random.fold_in(stream(settings.seed, "baselines"), list(BASELINES).index(name))
        with stage(name, 1):
            figures = kept(name, lambda n=name, k=key: _baseline(n, k, split, count, out, reference))
        rows.append(figures["row"])
        if "in_time" in figures:
            curves[name] = figures["in_time"]
    results = {
        "count": count,
        "rows": rows,
        "controls": ceiling,
        "in_time": curves,
        "settings": asdict(settings),
        "seconds": folder.seconds(),
        "versions": versions(),
        "out": str(out / "comparison.json"),
    }
    write_atomically(out / "comparison.json", json.dumps(results, indent=2) + "\n")
    write_atomically(out / "comparison.md", comparison_markdown(results))
    (out / "quality-energy.png").write_bytes(quality_energy_figure(results))
    (out / "quality-time.png").write_bytes(quality_time_figure(results))
    folder.finish(results)
    return results


def _own(
    name: str,
    split: Split,
    settings: ConditionalSettings,
    count: int,
    out: Path,
    reference: Reference,
    stage: Stage,
    dt: str | float | None,
) -> dict[str, Any]:
    """A thermodynamic generator: a row for each read-out, and its quality in time."""
    begun = time.perf_counter()
    result = train_conditional(split.training, settings, stage)
    seconds = time.perf_counter() - begun
    model = conditional_model(split.training, settings, result)
    model.save_pretrained(out / ("matched" if settings.match is not None else "model"), force=True)
    model = at_step(model, dt, settings.seed)
    samples, generating = draw(model, count, settings.seed, stage)
    quality = evaluate_samples(samples, reference)
    write_png_grid(out / "grids" / f"{name.replace(', ', '-')}.png", samples.visible[:100], model.image_shape)
    assert isinstance(result.control, ModeTable)
    shared = {
        "training_seconds": seconds,
        "operations": None,
        "parameters": result.control.parameters,
        "seconds_per_sample": generating / count,
        "joules": joules_of_kT(quality["heat_kT"]["mean"]),
        "evidence": _SIMULATED,
        "heat_kT": quality["heat_kT"],
    }
    rows = [{"name": f"{name}, {kind}", "quality": quality[kind], **shared} for kind in ("raw", "averaged")]
    return {"rows": rows, "in_time": quality_in_time(model, reference, min(count, _IN_TIME), settings.seed)}


def _baseline(
    name: str, key: Any, split: Split, count: int, out: Path, reference: Reference
) -> dict[str, Any]:
    """One baseline, trained and evaluated."""
    fit_key, draw_key = jax.random.split(key)
    baseline = BASELINES[name](fit_key, split.training)
    classes = np.asarray(reference.classes)
    labels = np.resize(classes, count)
    begun = time.perf_counter()
    images = np.asarray(baseline.draw(draw_key, labels))
    seconds = time.perf_counter() - begun
    write_png_grid(out / "grids" / f"{name}.png", images[:100], split.training.shape)
    heat = baseline.heat_kT(draw_key, np.resize(classes, 100))
    digital = baseline.operations * DigitalDenoiser().joules_per_mac
    row = {
        "name": baseline.name,
        "quality": evaluate(images, reference, None if name.endswith("-free") else labels),
        "training_seconds": baseline.training_seconds,
        "operations": baseline.operations,
        "parameters": baseline.parameters,
        "seconds_per_sample": seconds / count,
        "joules": digital if heat is None else joules_of_kT(float(heat.mean())),
        "evidence": _MODELLED if heat is None else _SIMULATED,
    }
    labels = np.resize(classes, min(count, _IN_TIME))
    states = baseline.draw_at(draw_key, labels, _TIMES)
    if states is None:
        return {"row": row}
    curve = [{"t": t, **brief(np.asarray(x), reference, labels)} for t, x in zip(_TIMES, states, strict=True)]
    return {"row": row, "in_time": curve}


def model_of(out: Path) -> Model:
    """The generator that a comparison trained."""
    return Model.from_pretrained(out / "model")
