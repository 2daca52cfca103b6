"""The commands on a model folder: sample, measure, show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import thermogen as tg
from thermogen.cli import options as o
from thermogen.cli.app import app
from thermogen.cli.console import print_json, print_results, stage, stoppable, with_error
from thermogen.cli.tables import print_card


@app.command()
def sample(
    model: o.ModelFolder,
    out: Annotated[Path, o.out("FILE.npz (states, heat, work), FILE.png (grid) or FILE.gif (film)")],
    count: o.Count = 100,
    label: Annotated[
        int | None,
        typer.Option(help="Class to generate, of a class-conditional model. Default: all in turn."),
    ] = None,
    seed: o.Seed = 0,
    dt: o.Dt = None,
    integrator: o.Integrator = "euler",
    noise: o.Noise = "gaussian",
    products: o.Products = "full",
    double: o.Double = False,
    resume: o.Resume = False,
    force: o.Force = False,
    json: o.Json = False,
) -> None:
    """Generate images with a trained computer.

    Sample n depends on the seed and n alone: a larger --count keeps the first samples. FILE.unfinished holds
    finished batches until all are complete.

    Examples:

        thermogen sample runs/reproduce/model --count 100 --out digits.png

        thermogen sample runs/reproduce/model --count 10 --out film.gif

        thermogen sample models/digits --integrator heun --noise three-point --out fast.npz
    """
    from thermogen.cli.samples import generate_from, identity_of_samples, kept_batches
    from thermogen.cli.writing import write_samples
    from thermogen.langevin import named_integrator
    from thermogen.parallel import is_first
    from thermogen.studies.measures import summary
    from thermogen.studies.time_step import at_step

    write = write_samples(out, force)
    method = named_integrator(integrator, noise, products)
    stored = at_step(tg.Model.from_pretrained(model), dt, seed, method)
    film = out.suffix.lower() == ".gif"
    identity = identity_of_samples(stored, method, double, count=count, seed=seed, label=label, film=film)
    with (
        stoppable(f"nothing was written to {out}; finished batches are kept, go on with --resume"),
        kept_batches(out, identity, resume, force) as batches,
    ):
        samples = generate_from(stored, count, seed, stage, method, double, label, batches, film)
        if is_first():
            write(samples, stored.image_shape)
    results: dict[str, Any] = {name: summary(getattr(samples, name)) for name in ("heat_kT", "work_kT")}
    results |= {"dt": stored.schedule.dt, "out": str(out)}
    if json:
        print_json(results)
    else:
        print(f"{count} samples, heat {with_error(results['heat_kT'])} kT, dt {results['dt']:.4g}: {out}")


@app.command()
def measure(
    model: o.ModelFolder,
    count: o.Count = 1000,
    paths: o.Paths = 30,
    seed: o.Seed = 0,
    dt: o.Dt = None,
    integrator: o.Integrator = "euler",
    noise: o.Noise = "gaussian",
    products: o.Products = "full",
    double: o.Double = False,
    out: o.OutNumbers = None,
    force: o.Force = False,
    json: o.Json = False,
) -> None:
    """Measure a trained computer: heat, work, energies, correlation with its prototypes, path ratio.

    Every number has its standard error and n. Noising paths have the time step of the training.

    Example:

        thermogen measure runs/reproduce/model --count 200 --json
    """
    from thermogen.cli.samples import measure_model
    from thermogen.cli.writing import check_file, write_json
    from thermogen.langevin import named_integrator
    from thermogen.parallel import is_first
    from thermogen.studies.time_step import at_step

    check_file(out, force, (".json",))
    method = named_integrator(integrator, noise, products)
    stored = at_step(tg.Model.from_pretrained(model), dt, seed, method)
    with stoppable("nothing was written"):
        results = measure_model(stored, count, paths, seed, stage, method, double)
    if is_first():
        write_json(out, results)
    print_json(results) if json else print_results(results)


@app.command()
def show(model: o.ModelFolder, json: o.Json = False) -> None:
    """Show and check a model folder: units, couplings, schedule, data, training, figures.

    Example:

        thermogen show models/digits
    """
    from thermogen.storage.model import read_card

    tg.Model.from_pretrained(model)  # the weights are checked too
    card = read_card(model)
    print_json(card) if json else print_card(card)
