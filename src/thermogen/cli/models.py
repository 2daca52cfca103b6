"""The commands on a model folder: draw with it, measure it, show what it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from thermogen.cli import options as o
from thermogen.cli.commands import app


@app.command()
def sample(
    model: o.ModelFolder,
    out: Annotated[
        Path, typer.Option(help="FILE.npz (states, heat, work), FILE.png (grid) or FILE.gif (film).")
    ],
    count: Annotated[int, typer.Option(help="Number of samples.")] = 100,
    label: Annotated[
        int | None,
        typer.Option(help="Class to draw, of a model trained --per-class (default: all in turn)."),
    ] = None,
    seed: o.Seed = 0,
    dt: o.AskedDt = None,
    integrator: o.Integrator = "euler",
    noise: o.Noise = "gaussian",
    products: o.Products = "full",
    double: o.Double = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the batches that a stopped call has left.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace FILE if it exists, and batches left by a stopped call.")
    ] = False,
    json: o.Json = False,
) -> None:
    """Generate images with a trained computer.

    Sample n depends on the seed and n alone: asking for more keeps the first ones. Finished batches are kept
    in FILE.unfinished until all are done.

    Examples:

        thermogen sample runs/reproduce/model --count 100 --out digits.png

        thermogen sample runs/reproduce/model --count 10 --out film.gif

        thermogen sample models/digits --dt auto --integrator heun --noise three-point --out fast.npz
    """
    from thermogen.cli.console import print_json, stage, stoppable, with_error
    from thermogen.cli.stepping import Stepping
    from thermogen.cli.unfinished import kept_batches
    from thermogen.cli.work import generate_from, identity_of_samples, write_samples
    from thermogen.parallel import is_first
    from thermogen.storage.model import Model
    from thermogen.studies.measures import summary

    write = write_samples(out, force)
    loaded = Model.from_pretrained(model)
    stepping = Stepping(dt, integrator, noise, products, double).settled(loaded, seed)
    film = out.suffix.lower() == ".gif"
    identity = identity_of_samples(loaded, stepping, count=count, seed=seed, label=label, film=film)
    with (
        stoppable(f"nothing was written to {out}; finished batches are kept, go on with --resume"),
        kept_batches(out, identity, resume, force) as batches,
    ):
        samples = generate_from(loaded, count, seed, stepping, stage, label, batches, film)
        if is_first():
            write(samples, loaded.image_shape)
    results = {
        "heat_kT": summary(samples.heat_kT),
        "work_kT": summary(samples.work_kT),
        "dt": stepping.schedule(loaded).dt,
        "out": str(out),
    }
    if json:
        print_json(results)
    else:
        print(f"{count} samples, heat {with_error(results['heat_kT'])} kT, dt {results['dt']:.4g}: {out}")


@app.command()
def measure(
    model: o.ModelFolder,
    count: Annotated[int, typer.Option(help="Number of samples.")] = 1000,
    paths: Annotated[int, typer.Option(help="Noising paths for the path ratio (0: none).")] = 30,
    seed: o.Seed = 0,
    dt: o.AskedDt = None,
    integrator: o.Integrator = "euler",
    noise: o.Noise = "gaussian",
    products: o.Products = "full",
    double: o.Double = False,
    out: Annotated[Path | None, typer.Option(help="Also write the numbers to this .json file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace --out if it exists.")] = False,
    json: o.Json = False,
) -> None:
    """Measure a trained computer: heat, work, energies, resemblance to what it learnt, path ratio.

    Every number comes with its standard error and n.

    Example:

        thermogen measure runs/reproduce/model --count 200 --json
    """
    from thermogen.cli.console import print_json, print_results, stage, stoppable
    from thermogen.cli.stepping import Stepping
    from thermogen.cli.work import check_file, measure_model
    from thermogen.parallel import is_first
    from thermogen.storage.model import Model
    from thermogen.storage.run_folder import write_atomically

    if out is not None:
        check_file(out, force, (".json",))
    loaded = Model.from_pretrained(model)
    stepping = Stepping(dt, integrator, noise, products, double)
    with stoppable("nothing was written"):
        results = measure_model(loaded, count, paths, seed, stepping, stage)
    if out is not None and is_first():
        import json as json_module

        write_atomically(out, json_module.dumps(results, indent=2) + "\n")
    if json:
        print_json(results)
    else:
        print_results(results)


@app.command()
def show(model: o.ModelFolder, json: o.Json = False) -> None:
    """Show what a model folder holds: units, couplings, protocol, data, training, figures; check it.

    Example:

        thermogen show models/digits
    """
    from thermogen.cli.console import print_json
    from thermogen.cli.work import print_card
    from thermogen.storage.model import Model, read_card

    Model.from_pretrained(model)  # the weights are checked too
    card = read_card(model)
    print_json(card) if json else print_card(card)
