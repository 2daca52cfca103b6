"""What the commands on a model folder do between parsing and printing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from thermogen.cli.stepping import Stepping
from thermogen.computer import Computer, in_float64
from thermogen.control import PerClass, Segments
from thermogen.errors import InputError, require
from thermogen.generation import Samples, generate
from thermogen.ledger import Ledger, Parameters, Workload, make_ledger, measure_joules, workload_of
from thermogen.noising import fields
from thermogen.parallel import first
from thermogen.report.films import write_gif, write_png_grid
from thermogen.report.ledger import ledger_figure, ledger_markdown
from thermogen.seeds import check_seed, stream
from thermogen.storage.arrays import digest
from thermogen.storage.model import Model, versions
from thermogen.storage.run_folder import write_atomically
from thermogen.studies.measures import ratio_measures, sample_measures
from thermogen.studies.progress import Stage
from thermogen.thermodynamics import noising_path_ratio

FORMATS = (".npz", ".png", ".gif")


def check_file(path: Path, force: bool, formats: tuple[str, ...]) -> None:
    """InputError for a file of unknown kind, one that exists (without `force`), or one in no folder."""
    if path.suffix.lower() not in formats:
        raise InputError(f"{path} has no known ending: name it {' or '.join('FILE' + f for f in formats)}")
    require(not path.is_dir(), f"{path} is a folder: name a file")
    require(force or not path.exists(), f"{path} exists: it is kept; choose another name, or use --force")
    require(path.parent.is_dir(), f"folder {path.parent} does not exist: create it first")


def write_json(path: Path | None, results: dict[str, Any]) -> None:
    """Results to a file, if one was named."""
    if path is not None:
        write_atomically(path, json.dumps(results, indent=2) + "\n")


def write_samples(path: Path, force: bool) -> Callable[[Samples, tuple[int, int]], None]:
    """A writer of samples to `path` by its ending, the path being checked before any work is done."""
    check_file(path, force, FORMATS)

    def write(samples: Samples, shape: tuple[int, int]) -> None:
        if path.suffix.lower() == ".png":
            write_png_grid(path, samples.visible, shape)
        elif path.suffix.lower() == ".gif":
            write_gif(path, samples.film, shape)
        else:
            arrays = {} if samples.labels is None else {"labels": samples.labels}
            arrays |= {"image_shape": np.array(shape)}
            np.savez_compressed(
                path,
                allow_pickle=False,
                visible=samples.visible,
                hidden=samples.hidden,
                heat_kT=samples.heat_kT,
                work_kT=samples.work_kT,
                **arrays,
            )

    return write


def identity_of_samples(model: Model, stepping: Stepping, **options: Any) -> dict[str, Any]:
    """All that decides the samples of a model: what must be equal for one call to go on from another."""
    return {
        **options,
        "schedule": asdict(stepping.schedule(model)),
        "method": [stepping.integrator, stepping.noise, stepping.products, stepping.double],
        "weights": digest(model.computer),
        "thermogen": versions()["thermogen"],
    }


def generate_from(
    model: Model,
    count: int,
    seed: int,
    stepping: Stepping,
    stage: Stage,
    label: int | None = None,
    checkpoint: Path | None = None,
    film: bool = False,
) -> Samples:
    """Samples of a stored model with its own schedule but for the step; `checkpoint`: see `generate`."""
    check_seed(seed)
    stepping = stepping.settled(model, seed)
    schedule, method = stepping.schedule(model), stepping.method()
    require(count >= 1, f"count = {count}: ask for 1 sample or more")
    require(
        label is None or bool(model.computer.labels),
        f"label = {label}: this model draws all classes with one set of couplings; leave --label out",
    )
    with jax.enable_x64(stepping.double), stage("generating", count) as tick:
        return generate(
            stream(seed, "generation"),
            in_float64(model.computer) if stepping.double else model.computer,
            count,
            schedule,
            labels=None if label is None else [label] * count,
            integrator=method,
            # Without a film, stretches only as short as progress needs: each is a call of its own.
            film_frames=30 if film else max(1, schedule.steps // 250),
            checkpoint=checkpoint,
            progress=lambda done, total: tick(done * count // total, ""),
        )


def measure_model(
    model: Model, count: int, paths: int, seed: int, stepping: Stepping, stage: Stage
) -> dict[str, Any]:
    """All numbers of a stored model that its folder allows to compute."""
    require(paths >= 0, f"paths = {paths}: give 0 or more")
    if model.prototypes is None:
        raise InputError(
            f"the model learnt {model.data.get('prototypes')} images and carries none: "
            "use 'thermogen evaluate'"
        )
    stepping = stepping.settled(model, seed)
    samples = generate_from(model, count, seed, stepping, stage)
    labels = model.data["labels"]
    schedule = stepping.schedule(model)
    results = sample_measures(samples, model.prototypes, labels, model.computer, schedule)
    if paths:
        trained = model.training
        force = fields(
            model.prototypes,
            np.asarray(labels),
            model.computer.units.hidden,
            output=model.computer.units.output,
            imprint=trained["imprint"],
            amplitude=trained["amplitude"],
            hidden_amplitude=trained["hidden_amplitude"],
            key=stream(trained["seed"], "imprint"),
        )
        key = stream(seed, "path ratio")
        control = model.computer
        if isinstance(control, PerClass):
            groups = [(control.choose(k), np.flatnonzero(np.equal(labels, k))) for k in control.labels]
        else:
            assert isinstance(control, Computer | Segments)  # others carry no prototypes
            groups = [(control, np.arange(len(force)))]

        def measured() -> dict[str, Any]:
            ratios = []
            with stage("path ratio", paths) as tick:
                for number, (one, images) in enumerate(groups):
                    share = len(range(number, paths, len(groups)))
                    if share:
                        ratio = noising_path_ratio(key, one, force[images], share, model.schedule)
                        ratios.append(ratio)
                        tick(sum(len(each.total) for each in ratios), "")
            return ratio_measures(jax.tree.map(lambda *each: np.concatenate(each), *ratios))

        results["path_ratio"] = first("the path ratio", measured)
    return results


def ledger_of_model(
    model: Model,
    count: int,
    seed: int,
    dt: float | None,
    prices: Parameters,
    measured: bool,
    stage: Stage,
) -> tuple[Ledger, Workload]:
    """The ledger of a stored model.

    With `measured` the samples are drawn twice, so that compiling is not in what the counters see.
    """
    stepping = Stepping(dt)
    samples = generate_from(model, count, seed, stepping, stage)
    schedule = stepping.schedule(model)
    reading = None
    if measured:
        reading = measure_joules(lambda: generate_from(model, count, seed, stepping, stage))
    workload = workload_of(model.computer, samples, schedule)
    return make_ledger(workload, prices, reading), workload


def write_ledger(folder: Path, force: bool) -> Callable[[dict[str, Any]], None]:
    """A writer of the ledger's three files, the folder being checked before any work is done."""
    files = [folder / f"ledger{ending}" for ending in (".json", ".md", ".png")]
    require(not folder.exists() or folder.is_dir(), f"{folder} is a file: name a folder")
    old = [file.name for file in files if file.exists()]
    require(force or not old, f"{folder} holds {', '.join(old)}: kept; choose another --out, or use --force")

    def write(results: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(files[0], results)
        write_atomically(files[1], ledger_markdown(results))
        files[2].write_bytes(ledger_figure(results))

    return write


def print_card(card: dict[str, Any]) -> None:
    """A model card as a table."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    units = ", ".join(f"{n} {role}" for role, n in card["units"].items() if n)
    height, width = card["image_shape"]
    table.add_row("units", f"{units}; images of {height} x {width}")
    held = f"{card['couplers']:,} in {card['couplings']}"
    if card["couplers"] != card["couplers_full"]:
        held += f" (the full matrix: {card['couplers_full']:,})"
    table.add_row("couplings", held)
    control = card["control"]
    if control["segments"] > 1 or control["labels"]:
        classes = f", one set for each of {len(control['labels'])} classes" if control["labels"] else ""
        if "classes" in control:
            classes = f", {len(control['classes'])} conditions of {len(control['labels'])} classes"
        table.add_row("control", f"{control['segments']} segment(s) of time{classes}")
    table.add_row("protocol", ", ".join(f"{name} {value:g}" for name, value in card["schedule"].items()))
    data = card["data"]
    shown = ", ".join(map(str, data["labels"][:12])) + (" …" if len(data["labels"]) > 12 else "")
    table.add_row("data", f"{data['source']}, {data['prototypes']} images of classes {shown}")
    training = card["training"]
    names = ("trainer", "imprint", "cycles", "optimizer", "trajectories", "clusters", "modes", "kT",
             "amplitude", "seed")  # fmt: skip
    table.add_row("training", ", ".join(f"{name} {training[name]}" for name in names if name in training))
    if training.get("validation_loss"):
        table.add_row("validation loss", f"{training['validation_loss']['loss']:.4f}")
    for name, figure in card["figures"].items():
        error = "" if figure.get("sem") is None else f" ± {figure['sem']:.2g}"
        table.add_row(name, f"{figure['mean']:.4g}{error} (n {figure['n']})")
    table.add_row("versions", ", ".join(f"{name} {v}" for name, v in card["versions"].items()))
    table.add_row("weights", f"sha256 {card['weights']['sha256'][:16]}…, verified")
    Console().print(table)
