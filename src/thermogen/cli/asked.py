"""The commands on generators of any asked class: train in modes, evaluate, complete, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from thermogen.cli import options as o
from thermogen.cli.commands import app

_GENERATOR = "The generator"
ImageSet = Annotated[
    str | None,
    typer.Option(
        "--images",
        help="Image set: .npz, .npy, IDX, or a folder of PNG or IDX files (default: the shipped digits, 100 "
        "a class). A test part, or one image in five, is held out.",
    ),
]
ClassifierFile = Annotated[
    Path | None,
    typer.Option(
        "--classifier",
        help="Classifier to judge by, written by tools/train_classifier.py (default: the shipped one of "
        "28 x 28 digits).",
    ),
]
Clusters = Annotated[int, typer.Option(help="Conditions of every class.", rich_help_panel=_GENERATOR, min=1)]
Modes = Annotated[int, typer.Option(help="Shared modes r.", rich_help_panel=_GENERATOR, min=1)]
Refine = Annotated[
    int, typer.Option(help="Rounds of refinement on its own states.", rich_help_panel=_GENERATOR, min=0)
]


@app.command("train-modes")
def train_modes(
    out: Annotated[Path, typer.Option(help="Model folder to write.")],
    images: ImageSet = None,
    clusters: Clusters = 100,
    modes: Annotated[
        int | None,
        typer.Option(
            help="Shared modes r (default: 128; with --label-units 24).", rich_help_panel=_GENERATOR, min=1
        ),
    ] = None,
    segments: Annotated[
        int,
        typer.Option(help="Parts of t_f with coefficients of their own.", rich_help_panel=_GENERATOR),
    ] = 1,
    amplitude: Annotated[
        float | None,
        typer.Option(
            help="Field per unit of image contrast, in E0 (default: 0.4; with --match 0.1).",
            rich_help_panel=_GENERATOR,
        ),
    ] = None,
    kT: Annotated[
        float | None,
        typer.Option(
            "--kT",
            help="Thermal energy in E0 (default: 5e-4; with --match 3.125e-5).",
            rich_help_panel=_GENERATOR,
        ),
    ] = None,
    ridge: o.Ridge = 0.0,
    refine: Refine = 0,
    label_units: Annotated[
        bool,
        typer.Option(
            "--label-units",
            help="One set of couplings for all: a class is asked for by fields that hold label units.",
            rich_help_panel=_GENERATOR,
        ),
    ] = False,
    match: Annotated[
        float | None,
        typer.Option(
            help="Instead of reverse-path training, match mean and covariance at t_f, with this share of the "
            "data's variance, e.g. 0.3.",
            rich_help_panel=_GENERATOR,
        ),
    ] = None,
    dt: o.Dt = 0.01,
    seed: o.Seed = 0,
    force: o.Force = False,
    json: o.Json = False,
) -> None:
    """Train a generator of any asked class: exact couplings in shared modes, a set for every kind of image.

    All of MNIST takes half a minute on two cores.

    Examples:

        thermogen train-modes --out models/ten --clusters 10

        thermogen train-modes --images mnist.npz --out models/mnist
    """
    import time

    from thermogen.cli.console import print_json, stage, stoppable
    from thermogen.data import load_split
    from thermogen.storage.model import check_free, read_card
    from thermogen.studies.conditional_training import (
        ConditionalSettings,
        conditional_model,
        train_conditional,
    )

    settings = ConditionalSettings.of(
        clusters=clusters,
        modes=modes,
        segments=segments,
        amplitude=amplitude,
        kT=kT,
        ridge=ridge,
        refine=refine,
        label_units=label_units,
        match=match,
        dt=dt,
        seed=seed,
    )
    check_free(out, force)
    split = load_split(images)
    begun = time.perf_counter()
    with stoppable("nothing was written: training takes a minute, start it again"):
        result = train_conditional(split.training, settings, stage)
    conditional_model(split.training, settings, result).save_pretrained(out, force=force)
    if json:
        print_json(read_card(out))
    else:
        control, seconds = result.control, time.perf_counter() - begun
        modes = min(settings.modes, control.units.visible)
        what = f"{len(control.classes)} conditions of {modes} modes, from {len(split.training)} images"
        print(f"{what}, in {seconds:.1f} s; {control.couplers():,} couplers; model: {out}")


@app.command()
def evaluate(
    model: o.ModelFolder,
    images: ImageSet = None,
    count: Annotated[int, typer.Option(help="Number of samples.")] = 2000,
    classifier: ClassifierFile = None,
    seed: o.Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Also write the numbers to this .json file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it exists.")] = False,
    json: o.Json = False,
) -> None:
    """Judge a model as image generators are judged, beside nulls and the ceiling of real images.

    Class accuracy, Fréchet distance, precision, recall, density, coverage, classes and their entropy, nearest
    training images, diversity, sharpness; for the state at t_f and for the averaged read-out.

    Example:

        thermogen evaluate models/mnist --images mnist.npz --count 10000
    """
    from thermogen.cli.console import print_json, stage, stoppable
    from thermogen.cli.tables import print_quality
    from thermogen.cli.work import check_file, write_json
    from thermogen.data import load_split
    from thermogen.parallel import is_first
    from thermogen.quality import load_classifier
    from thermogen.storage.model import Model
    from thermogen.studies.evaluation import evaluate_model, reference_of

    if out is not None:
        check_file(out, force, (".json",))
    loaded = Model.from_pretrained(model)
    with stoppable("nothing was written"):
        reference = reference_of(load_split(images), load_classifier(classifier))
        results, _ = evaluate_model(loaded, reference, count, seed, stage)
    if not is_first():
        return
    write_json(out, results)
    print_json(results) if json else print_quality(results)


@app.command()
def complete(
    model: o.ModelFolder,
    out: Annotated[Path, typer.Option(help="FILE.png: shown part, completed image and original, by row.")],
    images: ImageSet = None,
    rows: Annotated[int, typer.Option(help="Rows shown, from the top (default: the upper half).")] = 0,
    count: Annotated[int, typer.Option(help="Number of held-out images.")] = 1000,
    classifier: ClassifierFile = None,
    seed: o.Seed = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
    json: o.Json = False,
) -> None:
    """Show the upper part of held-out images on clamped units, and let the computer finish them.

    Example:

        thermogen complete models/mnist --images mnist.npz --out completed.png
    """
    import numpy as np

    from thermogen.cli.console import print_json, stage, stoppable
    from thermogen.cli.tables import percent
    from thermogen.cli.work import check_file
    from thermogen.data import load_split
    from thermogen.errors import require
    from thermogen.quality import load_classifier
    from thermogen.report.films import write_png_grid
    from thermogen.storage.model import Model
    from thermogen.studies.completion import complete as finish
    from thermogen.studies.completion import evaluate_completion

    check_file(out, force, (".png",))
    loaded = Model.from_pretrained(model)
    height, width = loaded.image_shape
    rows = rows or height // 2
    require(0 < rows < height, f"rows = {rows}: show 1 to {height - 1} of the {height} rows")
    require(count >= 1, f"count = {count}: give 1 or more")
    shown = np.zeros((height, width), bool)
    shown[:rows] = True
    with stoppable(f"nothing was written to {out}"):
        held = load_split(images).held_out.first(count)
        samples, completed = finish(loaded, held, shown.ravel(), seed, stage)
    results = evaluate_completion(completed, samples, held, load_classifier(classifier))
    flat = held.grey()[:12]
    parts = np.where(shown.ravel(), flat, flat.min()), completed[:12], flat
    write_png_grid(out, np.concatenate(parts), (height, width), columns=len(flat))
    if json:
        print_json(results)
    else:
        right, ceiling = percent(results["completed"]), percent(results["ceiling"])
        print(f"{results['n']} images, {rows} of {height} rows shown: class right in {right}, "
              f"of the whole images in {ceiling}: {out}")  # fmt: skip


@app.command()
def read(
    model: o.ModelFolder,
    images: ImageSet = None,
    count: Annotated[int, typer.Option(help="Number of held-out images.")] = 1000,
    wait: Annotated[float, typer.Option(help="Time over which label units are averaged.")] = 25.0,
    seed: o.Seed = 0,
    json: o.Json = False,
) -> None:
    """Show held-out images on clamped units and read their classes off the label units.

    The model must have label units (train-modes --label-units): the couplings that draw a class also read it.

    Example:

        thermogen read models/labels --images mnist.npz --count 10000
    """
    from thermogen.cli.console import print_json, stoppable
    from thermogen.cli.tables import percent
    from thermogen.data import load_split
    from thermogen.errors import require
    from thermogen.storage.model import Model
    from thermogen.studies.classification import classify_images, evaluate_classification

    require(count >= 1, f"count = {count}: give 1 or more")
    loaded = Model.from_pretrained(model)
    with stoppable("nothing was written"):
        held = load_split(images).held_out.first(count)
        results = evaluate_classification(classify_images(loaded, held, wait=wait, seed=seed), held)
    if json:
        print_json(results)
    else:
        shares = ", ".join(f"{label}: {100 * part:.1f}" for label, part in results["by_class"].items())
        print(
            f"{results['n']} images: class read right in {percent(results['right'])}; by class, %: {shares}"
        )


@app.command()
def compare(
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/compare"),
    images: ImageSet = None,
    count: Annotated[int, typer.Option(help="Samples of every generator.")] = 2000,
    rivals: Annotated[str, typer.Option(help="Which rivals, separated by commas, or 'all'.")] = "all",
    clusters: Clusters = 100,
    modes: Modes = 128,
    classifier: ClassifierFile = None,
    seed: o.Seed = 0,
    resume: o.Resume = False,
    force: o.Force = False,
    json: o.Json = False,
) -> None:
    """Train and judge the thermodynamic generator and its rivals in one harness.

    Quality, training time, operations, energy and time of a sample for each: the paper's denoiser as a
    diffusion model, Boltzmann machines, Gaussians and mixtures. Writes comparison.json, quality-energy.png
    and comparison.md into --out.

    Example:

        thermogen compare --images mnist.npz --count 10000
    """
    from thermogen.cli.console import print_json, stage, stoppable
    from thermogen.cli.tables import print_comparison
    from thermogen.data import load_split
    from thermogen.quality import load_classifier
    from thermogen.studies.comparison import compare_generators
    from thermogen.studies.conditional_training import ConditionalSettings

    settings = ConditionalSettings(clusters=clusters, modes=modes, seed=seed)
    with stoppable(f"what is done is kept in {out}: go on with --resume"):
        results = compare_generators(
            load_split(images),
            settings,
            count,
            out,
            rivals=rivals,
            classifier=load_classifier(classifier),
            resume=resume,
            force=force,
            stage=stage,
        )
    print_json(results) if json else print_comparison(results)
