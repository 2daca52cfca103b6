"""The main job for all classes: train, generate, evaluate, complete, compare with baselines."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from thermogen.control import ModeTable
from thermogen.data import Split
from thermogen.errors import InputError
from thermogen.generation import Samples
from thermogen.quality import Classifier, evaluate
from thermogen.report.all_classes import AllClassesRecord, write_all_classes_report
from thermogen.storage.model import versions
from thermogen.storage.run_folder import RunFolder
from thermogen.studies.comparison import compare_generators, model_of
from thermogen.studies.completion import complete, evaluate_completion
from thermogen.studies.conditional_settings import ConditionalSettings
from thermogen.studies.evaluation import draw, reference_of, unconditional
from thermogen.studies.measures import summary
from thermogen.studies.progress import Stage, silent
from thermogen.studies.time_step import at_step

OUTPUTS = ("report.html", "samples.npz", "samples.gif", "figures", "model", "comparison")
EACH = 10
"""Digits of every class in the grid of the report."""


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
    `compare_generators`). dt: time step of generation, see `at_step`. Interrupted at any moment, the same
    call with `resume` goes on.
    Raises InputError for settings that cannot be used and for a folder in the way.
    """
    reference = reference_of(split, classifier)
    identity = {
        **asdict(settings),
        "count": count,
        "data": split.training.sha256,
        "baselines": baselines,
        "generation_dt": dt,
    }
    folder = RunFolder(out, {**identity, "version": versions()["thermogen"]}, OUTPUTS)
    finished = folder.claim(resume=resume, force=force)
    if finished is not None:
        return finished
    part = out / "comparison"
    try:
        with folder.clock("comparison"):
            compared = compare_generators(
                split,
                settings,
                count,
                part,
                classifier=classifier,
                baselines=baselines,
                dt=dt,
                resume=part.exists(),
                stage=stage,
            )
    except InputError:
        if not part.exists():  # a run that could not start leaves nothing behind
            folder.clear()
        raise
    model = at_step(model_of(part), dt, settings.seed)
    with folder.clock("sample"):
        samples, _ = draw(model, EACH * len(reference.classes), settings.seed, stage)
        free = unconditional(model.computer, model.schedule, max(100, count // 5), settings.seed)
    assert free is not None
    found = evaluate(free.visible, reference)
    held = split.held_out.first(min(1000, count))
    shown = np.zeros(model.image_shape, bool)
    shown[: model.image_shape[0] // 2] = True
    with folder.clock("completion"):
        finish, completed = complete(model, held, shown.ravel(), settings.seed, stage)
    control = model.computer
    assert isinstance(control, ModeTable)
    results = {
        **{name: compared[name] for name in ("rows", "controls", "in_time", "count", "settings")},
        "unconditional": {name: found[name] for name in ("n", "classes", "entropy", "frechet")},
        "completion": evaluate_completion(completed, finish, held, classifier),
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
        _write(out, model_of(part), samples, results, (held.grey()[:12], completed[:12], shown.ravel()))
    results["seconds"] = folder.seconds()
    folder.finish(results)
    return results


def _write(out: Path, model, samples: Samples, results: dict[str, Any], completion: tuple) -> None:
    assert samples.labels is not None
    np.savez_compressed(
        out / "samples.npz", visible=samples.visible, heat_kT=samples.heat_kT, labels=samples.labels
    )
    figures = {"heat_kT": results["heat_kT"]}
    model = type(model)(
        model.computer, model.schedule, model.image_shape, model.data, model.training, figures
    )
    model.save_pretrained(out / "model", force=True)
    order = np.argsort(samples.labels, kind="stable")
    write_all_classes_report(
        out,
        AllClassesRecord(
            results,
            model.image_shape,
            samples.visible[order],
            samples.labels[order],
            samples.film,
            completion,
        ),
    )
