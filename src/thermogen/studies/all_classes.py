"""The main job for all classes: train, generate, evaluate, complete, compare with baselines."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from thermogen.control import ModeTable
from thermogen.data import Split
from thermogen.errors import InputError
from thermogen.quality import Classifier
from thermogen.report.all_classes import AllClassesRecord, write_all_classes_report
from thermogen.storage.model import versions
from thermogen.storage.run_folder import RunFolder
from thermogen.studies.comparison import compare_generators, model_of
from thermogen.studies.completion import complete, evaluate_completion
from thermogen.studies.conditional_settings import ConditionalSettings
from thermogen.studies.evaluation import draw, evaluate_unconditional, reference_of
from thermogen.studies.measures import summary
from thermogen.studies.progress import Stage, silent
from thermogen.studies.time_step import at_step

OUTPUTS = ("report.html", "samples.npz", "samples.gif", "figures", "model", "comparison")
EACH = 10
"""Samples of every class in the grid of the report."""


def reproduce_all_classes(
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
    """Run the whole job into the folder `out` and return the content of its results.json.

    Writes report.html, samples.npz, samples.gif, figures/, model/ and comparison/ (see
    `compare_generators`). dt: time step of generation, see `at_step`. After an interruption, the same call
    with `resume` continues.
    Raises InputError for settings that cannot be used and for a folder with other content.
    """
    reference = reference_of(split, classifier)
    run = {"count": count, "data": split.training.sha256, "baselines": baselines, "generation_dt": dt}
    folder = RunFolder(out, {**asdict(settings), **run, "version": versions()["thermogen"]}, OUTPUTS)
    finished = folder.claim(resume=resume, force=force)
    if finished is not None:
        return finished
    comparison = out / "comparison"
    given: dict[str, Any] = {"classifier": classifier, "baselines": baselines, "dt": dt, "stage": stage}
    try:
        with folder.clock("comparison"):
            compared = compare_generators(
                split, settings, count, comparison, resume=comparison.exists(), **given
            )
    except InputError:
        if not comparison.exists():  # a run that could not start leaves nothing behind
            folder.clear()
        raise
    trained = model_of(comparison)
    model = at_step(trained, dt, settings.seed)
    control = model.computer
    assert isinstance(control, ModeTable)
    with folder.clock("sample"):
        samples, _ = draw(model, EACH * len(reference.classes), settings.seed, stage)
        free = evaluate_unconditional(model, reference, count, settings.seed)
    assert samples.labels is not None
    held_out = split.held_out.first(min(1000, count))
    upper_half = np.zeros(model.image_shape, bool)
    upper_half[: model.image_shape[0] // 2] = True
    with folder.clock("completion"):
        finish, completed = complete(model, held_out, upper_half.ravel(), settings.seed, stage)
    results = {
        **{name: compared[name] for name in ("rows", "controls", "in_time", "count", "settings")},
        "unconditional": free,
        "completion": evaluate_completion(completed, finish, held_out, classifier),
        "heat_kT": compared["rows"][0]["heat_kT"],
        "work_kT": summary(samples.work_kT),
        "device": {
            "units": control.units.visible,
            "conditions": len(control.classes),
            "modes": control.basis.shape[1],
            "couplers": control.couplers(),
            "values": control.parameters,
        },
        "images": {
            "source": split.training.source,
            "training": len(split.training),
            "held_out": len(split.held_out),
        },
        "classifier": classifier.sha256,
        "versions": versions(),
        "seconds": folder.seconds(),
    }
    with folder.clock("report"), stage("report", 1):
        np.savez_compressed(
            out / "samples.npz", visible=samples.visible, heat_kT=samples.heat_kT, labels=samples.labels
        )
        figures = {"heat_kT": results["heat_kT"]}
        replace(trained, figures=figures).save_pretrained(out / "model", force=True)
        order = np.argsort(samples.labels, kind="stable")
        images = held_out.grey()[:12], completed[:12], upper_half.ravel()
        record = AllClassesRecord(
            results, model.image_shape, samples.visible[order], samples.labels[order], samples.film, images
        )
        write_all_classes_report(out, record)
    results["seconds"] = folder.seconds()
    folder.finish(results)
    return results
