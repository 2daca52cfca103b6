"""The commands on class-conditional generators: train, evaluate, complete, classify, compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import thermogen as tg
from thermogen.cli import options as o
from thermogen.cli.app import app
from thermogen.cli.console import print_json, stage, stoppable
from thermogen.cli.tables import percent, print_comparison, print_quality
from thermogen.errors import require
from thermogen.studies.conditional_settings import ConditionalSettings


@app.command()
@o.with_fields(ConditionalSettings)
def train_conditional(
    given: dict[str, Any],
    out: o.OutModel,
    images: o.Images = None,
    force: o.Force = False,
    json: o.Json = False,
) -> None:
    """Train a class-conditional generator exactly: shared modes, and mode couplings for each condition.

    Training on all of MNIST takes half a minute on two cores.

    Examples:

        thermogen train-conditional --out models/ten --clusters 10

        thermogen train-conditional --images mnist.npz --out models/mnist
    """
    import time

    from thermogen.storage.model import check_free, read_card
    from thermogen.studies.conditional_training import conditional_model
    from thermogen.studies.conditional_training import train_conditional as run

    settings = ConditionalSettings.of(**given)
    check_free(out, force)
    split = tg.load_split(images)
    begun = time.perf_counter()
    with stoppable("nothing was written: start it again, training takes a minute"):
        result = run(split.training, settings, stage)
    conditional_model(split.training, settings, result).save_pretrained(out, force=force)
    if json:
        print_json(read_card(out))
    else:
        control, seconds = result.control, time.perf_counter() - begun
        modes, count = min(settings.modes, control.units.visible), len(split.training)
        print(f"{len(control.classes)} conditions of {modes} modes, from {count} images, in {seconds:.1f} s; "
              f"{control.couplers():,} couplers; model: {out}")  # fmt: skip


@app.command()
def evaluate(
    model: o.ModelFolder,
    images: o.Images = None,
    count: o.Count = 2000,
    dt: o.Dt = None,
    classifier: o.Classifier = None,
    seed: o.Seed = 0,
    out: o.OutNumbers = None,
    force: o.Force = False,
    json: o.Json = False,
) -> None:
    """Evaluate generated images with the measures for image generators, against nulls and real images.

    Class accuracy, Fréchet distance, precision, recall, density, coverage, classes and their entropy, nearest
    training images, diversity, sharpness; for the state at t_f and for the averaged read-out.

    Example:

        thermogen evaluate models/mnist --images mnist.npz --count 10000
    """
    from thermogen.cli.writing import check_file, write_json
    from thermogen.parallel import is_first
    from thermogen.studies.evaluation import evaluate_model, reference_of
    from thermogen.studies.time_step import at_step

    check_file(out, force, (".json",))
    stored = tg.Model.from_pretrained(model)
    with stoppable("nothing was written"):
        reference = reference_of(tg.load_split(images), tg.quality.load_classifier(classifier))
        results, _ = evaluate_model(at_step(stored, dt, seed), reference, count, seed, stage)
    if not is_first():
        return
    write_json(out, results)
    print_json(results) if json else print_quality(results)


@app.command()
def complete(
    model: o.ModelFolder,
    out: Annotated[Path, o.out("FILE.png with rows of the shown rows, completed images and originals")],
    images: o.Images = None,
    rows: Annotated[int, typer.Option(help="Rows shown, from the top. Default: the upper half.")] = 0,
    count: o.Count = 1000,
    dt: o.Dt = None,
    classifier: o.Classifier = None,
    seed: o.Seed = 0,
    force: o.Force = False,
    json: o.Json = False,
) -> None:
    """Show the upper part of held-out images on clamped units, and let the computer complete them.

    Example:

        thermogen complete models/mnist --images mnist.npz --out completed.png
    """
    import numpy as np

    from thermogen.cli.writing import check_file
    from thermogen.report.films import write_png_grid
    from thermogen.studies.completion import complete as run
    from thermogen.studies.completion import evaluate_completion
    from thermogen.studies.time_step import at_step

    check_file(out, force, (".png",))
    stored = tg.Model.from_pretrained(model)
    height, width = stored.image_shape
    rows = rows or height // 2
    require(0 < rows < height, f"rows = {rows}: show 1 to {height - 1} of the {height} rows")
    require(count >= 1, f"count = {count}: give 1 or more")
    shown = np.zeros((height, width), bool)
    shown[:rows] = True
    with stoppable(f"nothing was written to {out}"):
        held_out = tg.load_split(images).held_out.first(count)
        samples, completed = run(at_step(stored, dt, seed), held_out, shown.ravel(), seed, stage)
    results = evaluate_completion(completed, samples, held_out, tg.quality.load_classifier(classifier))
    originals = held_out.grey()[:12]
    rows_of_images = np.where(shown.ravel(), originals, originals.min()), completed[:12], originals
    write_png_grid(out, np.concatenate(rows_of_images), (height, width), columns=len(originals))
    if json:
        print_json(results)
    else:
        right, ceiling = percent(results["completed"]), percent(results["ceiling"])
        print(f"{results['n']} images, {rows} of {height} rows shown: class right in {right}, "
              f"of the originals in {ceiling}: {out}")  # fmt: skip


@app.command()
def classify(
    model: o.ModelFolder,
    images: o.Images = None,
    count: o.Count = 1000,
    wait: Annotated[float, typer.Option(help="Time over which label units are averaged.")] = 25.0,
    seed: o.Seed = 0,
    json: o.Json = False,
) -> None:
    """Show held-out images on clamped units and classify them by the label units.

    The model must have label units (train-conditional --label-units). The couplings that generate a class
    also classify its images.

    Example:

        thermogen classify models/labels --images mnist.npz --count 10000
    """
    from thermogen.studies.classification import classify_images, evaluate_classification

    require(count >= 1, f"count = {count}: give 1 or more")
    stored = tg.Model.from_pretrained(model)
    with stoppable("nothing was written"):
        held_out = tg.load_split(images).held_out.first(count)
        results = evaluate_classification(classify_images(stored, held_out, wait=wait, seed=seed), held_out)
    if json:
        print_json(results)
    else:
        shares = ", ".join(f"{label}: {100 * share:.1f}" for label, share in results["by_class"].items())
        print(f"{results['n']} images: class right in {percent(results['right'])}; by class, %: {shares}")


@app.command()
@o.with_fields(ConditionalSettings, only=("clusters", "modes", "seed"))
def compare(
    given: dict[str, Any],
    out: o.OutFolder = Path("runs/compare"),
    images: o.Images = None,
    count: o.Count = 2000,
    dt: o.Dt = None,
    baselines: o.Baselines = "all",
    classifier: o.Classifier = None,
    resume: o.Resume = False,
    force: o.Force = False,
    json: o.Json = False,
) -> None:
    """Train and evaluate the thermodynamic generator and its baselines by the same measures.

    Quality, training time, operations, energy and time of a sample for each: the paper's denoiser as a
    diffusion model, Boltzmann machines, Gaussians and mixtures. Writes comparison.json, quality-energy.png
    and comparison.md into --out.

    Example:

        thermogen compare --images mnist.npz --count 10000
    """
    from thermogen.studies.comparison import compare_generators

    with stoppable(f"finished work is kept in {out}: go on with --resume"):
        results = compare_generators(
            tg.load_split(images),
            ConditionalSettings.of(**given),
            count,
            out,
            baselines=baselines,
            dt=dt,
            classifier=tg.quality.load_classifier(classifier),
            resume=resume,
            force=force,
            stage=stage,
        )
    print_json(results) if json else print_comparison(results)
