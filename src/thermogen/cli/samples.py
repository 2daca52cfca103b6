"""The work of the commands on a model folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from thermogen.computer import Computer, in_float64
from thermogen.control import PerClass, Segments
from thermogen.errors import InputError, require
from thermogen.generation import Samples, generate
from thermogen.langevin import Integrator
from thermogen.noising import imprint_fields
from thermogen.parallel import first, is_first
from thermogen.seeds import check_seed, stream
from thermogen.storage.arrays import digest
from thermogen.storage.checkpoint import check_identity
from thermogen.storage.model import Model, versions
from thermogen.storage.run_folder import write_atomically
from thermogen.studies.measures import ratio_measures, sample_measures
from thermogen.studies.progress import Stage
from thermogen.thermodynamics import noising_path_ratio

_RECORD = "run.json"


def identity_of_samples(
    model: Model, integrator: Integrator | None, double: bool, **options: Any
) -> dict[str, Any]:
    """Everything that decides the samples of a model. A call continues another one of the same identity."""
    return {
        **options,
        "schedule": asdict(model.schedule),
        "method": [repr(integrator), double],
        "weights": digest(model.computer),
        "thermogen": versions()["thermogen"],
    }


def generate_from(
    model: Model,
    count: int,
    seed: int,
    stage: Stage,
    integrator: Integrator | None = None,
    double: bool = False,
    label: int | None = None,
    checkpoint: Path | None = None,
    film: bool = False,
) -> Samples:
    """Samples of a stored model by its schedule; `checkpoint`: see `generate`."""
    check_seed(seed)
    require(count >= 1, f"count = {count}: give 1 sample or more")
    require(
        label is None or bool(model.computer.labels),
        f"label = {label}: this model generates all classes with one set of couplings; leave --label out",
    )
    with jax.enable_x64(double), stage("generating", count) as tick:
        return generate(
            stream(seed, "generation"),
            in_float64(model.computer) if double else model.computer,
            count,
            model.schedule,
            labels=None if label is None else [label] * count,
            integrator=integrator,
            # Without a film, intervals as long as the progress bar allows: each is a separate call.
            film_frames=30 if film else max(1, model.schedule.steps // 250),
            checkpoint=checkpoint,
            progress=lambda done, total: tick(done * count // total, ""),
        )


def measure_model(
    model: Model,
    count: int,
    paths: int,
    seed: int,
    stage: Stage,
    integrator: Integrator | None = None,
    double: bool = False,
) -> dict[str, Any]:
    """Measures of a stored model. Noising paths have the time step of its training."""
    require(paths >= 0, f"paths = {paths}: give 0 or more")
    if model.prototypes is None:
        raise InputError(
            f"the model learnt {model.data.get('prototypes')} images and carries none: "
            "use 'thermogen evaluate'"
        )
    samples = generate_from(model, count, seed, stage, integrator, double)
    labels = model.data["labels"]
    results = sample_measures(samples, model.prototypes, labels, model.computer, model.schedule)
    if paths:
        results["path_ratio"] = first("the path ratio", lambda: _path_ratio(model, paths, seed, stage))
    return results


def _path_ratio(model: Model, paths: int, seed: int, stage: Stage) -> dict[str, Any]:
    """The path ratio on noising paths. A `PerClass` divides the paths among its classes."""
    settings, labels, control = model.training, np.asarray(model.data["labels"]), model.computer
    assert model.prototypes is not None
    force = imprint_fields(
        model.prototypes,
        labels,
        control.units.hidden,
        output=control.units.output,
        imprint=settings["imprint"],
        amplitude=settings["amplitude"],
        hidden_amplitude=settings["hidden_amplitude"],
        key=stream(settings["seed"], "imprint"),
    )
    schedule, key = replace(model.schedule, dt=settings["dt"]), stream(seed, "path ratio")
    if isinstance(control, PerClass):
        groups = [(control.choose(label), np.flatnonzero(labels == label)) for label in control.labels]
    else:
        assert isinstance(control, Computer | Segments)  # others carry no prototypes
        groups = [(control, np.arange(len(force)))]
    ratios = []
    with stage("path ratio", paths) as tick:
        for number, (computer, images) in enumerate(groups):
            share = len(range(number, paths, len(groups)))
            if share:
                ratios.append(noising_path_ratio(key, computer, force[images], share, schedule))
                tick(sum(len(ratio.total) for ratio in ratios), "")
    return ratio_measures(jax.tree.map(lambda *ratios: np.concatenate(ratios), *ratios))


@contextmanager
def kept_batches(out: Path, identity: dict[str, Any], resume: bool, force: bool) -> Iterator[Path]:
    """The folder OUT.unfinished for the batches of the samples of `out`, removed at the end.

    identity: everything that decides the samples, as JSON values. `resume` uses the batches of an earlier
    call. A call that ends before its first batch leaves nothing.

    Raises InputError for batches of other samples, and for any at all without `resume` or `force`.
    """
    folder = out.with_name(out.name + ".unfinished")
    wanted = json.loads(json.dumps(identity))
    first("the claim", lambda: _claim(folder, wanted, resume, force))
    try:
        yield folder
    except BaseException:
        if is_first() and not _batches(folder):
            _remove(folder)
        raise
    if is_first():
        _remove(folder)


def _claim(folder: Path, wanted: dict[str, Any], resume: bool, force: bool) -> None:
    require(not (resume and force), "--resume and --force contradict each other: give one of them")
    require(
        not folder.exists() or folder.is_dir(), f"{folder} is in the way: move it, or choose another --out"
    )
    record = folder / _RECORD
    if _batches(folder) and not force:
        require(resume, f"{folder} holds unfinished samples: go on with --resume, or start with --force")
        try:
            stored = json.loads(record.read_text())
        except (OSError, ValueError) as error:
            raise InputError(f"{record} is damaged ({error}): start again with --force") from error
        check_identity(folder, stored, wanted)
        return
    _remove(folder)
    folder.mkdir(exist_ok=True)
    write_atomically(record, json.dumps(wanted) + "\n")


def _batches(folder: Path) -> list[Path]:
    return list(folder.glob("samples-*.safetensors"))


def _remove(folder: Path) -> None:
    """Remove the files of samples, and the folder if it holds no others."""
    if not folder.exists():
        return
    ours = [*folder.glob("samples-*"), *folder.glob(f"{_RECORD}*")]
    if set(ours) == set(folder.iterdir()):
        shutil.rmtree(folder)
    else:
        for path in ours:
            path.unlink()
