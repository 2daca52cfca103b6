"""The application and its main job. Heavy imports happen inside commands, so that help is instant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thermogen.cli import options as o

if TYPE_CHECKING:
    from typer import Context
else:  # what typer really hands over: its own name for it is a subclass
    Context = typer.Context.__base__

app = typer.Typer(
    name="thermogen",
    help="Computers that turn heat noise into pictures: train a network of fluctuating units so that its own "
    "thermal motion assembles images, and account for the heat.\n\nExamples:\n\n    thermogen reproduce\n\n"
    "    thermogen train --images mine.npz --out models/mine\n\n"
    "    thermogen sample models/mine --count 100 --out pictures.png\n\n"
    "    thermogen train --help",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool | None) -> None:
    if value:
        from importlib.metadata import version

        print(f"thermogen {version('thermogen')}")
        raise typer.Exit


@app.callback()
def _root(
    context: Context,
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = None,
    coordinator: o.Coordinator = None,
    processes: o.Processes = None,
    process_id: o.ProcessId = None,
    cluster: o.Cluster = False,
) -> None:
    from thermogen.cli.processes import join

    join(context.invoked_subcommand, coordinator, processes, process_id, cluster)


@app.command()
def reproduce(
    digits: o.Digits = "0,1,2",
    imprint: o.Imprint = None,
    trainer: o.Trainer = "batch",
    beside: Annotated[
        str | None,
        typer.Option(
            help="A second trainer, with its own defaults, laid beside the first in the report, e.g. exact.",
            rich_help_panel="The run",
        ),
    ] = None,
    cycles: o.Cycles = 100,
    samples: Annotated[
        int, typer.Option(help="Denoising trajectories to generate.", rich_help_panel="The run")
    ] = 1000,
    paths: Annotated[
        int, typer.Option(help="Noising paths for the path ratio.", rich_help_panel="The run")
    ] = 30,
    dt: o.Dt = 1e-3,
    seed: o.Seed = 0,
    out: Annotated[Path, typer.Option(help="Folder of the run.", rich_help_panel="The run")] = Path(
        "runs/reproduce"
    ),
    images: Annotated[
        str | None,
        typer.Option(
            help="Image set for --digits all (default: the shipped digits).", rich_help_panel="The run"
        ),
    ] = None,
    rivals: Annotated[
        str, typer.Option(help="Rivals for --digits all, separated by commas.", rich_help_panel="The run")
    ] = "all",
    resume: o.Resume = False,
    force: o.Force = False,
    json: o.Json = False,
    integrator: o.Integrator = "euler",
    hidden: o.Hidden = 512,
    output: o.Output = 0,
    topology: o.Topology = "published",
    couplings: o.StartCouplings = None,
    kT: o.Temperature = 0.1,
    amplitude: o.Amplitude = None,
    hidden_amplitude: o.HiddenAmplitude = None,
    ramp_fraction: o.Ramp = None,
    readout: o.Readout = None,
    trajectories: o.Trajectories = 1,
    delay: o.Delay = 10,
    optimizer: o.Optimizer = "sgd",
    learning_rate: o.LearningRate = None,
    train_visible_biases: o.VisibleBiases = None,
    segments: o.Segments = 1,
    ridge: o.Ridge = 0.0,
    compress: o.Compress = None,
) -> None:
    """Reproduce the published result end to end: train, generate, measure, write the report.

    Defaults are the published setting: digits 0, 1, 2, tiled imprint, batch rule, 100 cycles,
    dt = 1e-3, 1,000 denoising trajectories. Exact training has defaults of its own. Writes report.html,
    results.json, samples.npz, samples.gif, figures/ and model/ into --out. Takes 80 seconds on two cores.

    Examples:

        thermogen reproduce

        thermogen reproduce --trainer exact --out runs/exact

        thermogen reproduce --beside exact --out runs/both

        thermogen reproduce --digits all --images mnist.npz --samples 10000 --out runs/ten
    """
    if digits.strip() == "all":
        _reproduce_all(images, samples, rivals, seed, out, resume, force, json)
        return
    from thermogen.cli.console import print_json, print_results, stage, stoppable
    from thermogen.studies.published import Measures
    from thermogen.studies.published import reproduce as run
    from thermogen.studies.settings import Settings

    settings = Settings.of(
        digits=o.parse_digits(digits),
        imprint=imprint,
        trainer=trainer,
        cycles=cycles,
        delay=delay,
        trajectories=trajectories,
        optimizer=optimizer,
        learning_rate=learning_rate,
        train_visible_biases=train_visible_biases,
        segments=segments,
        ridge=ridge,
        compress=compress,
        hidden=hidden,
        output=output,
        topology=topology,
        couplings=couplings,
        amplitude=amplitude,
        hidden_amplitude=hidden_amplitude,
        ramp_fraction=ramp_fraction,
        readout=readout,
        kT=kT,
        dt=dt,
        seed=seed,
    )
    measures = Measures(samples=samples, paths=paths, integrator=integrator)
    with stoppable(f"what is done is kept in {out}: go on with --resume"):
        results = run(settings, measures, out, beside=beside, resume=resume, force=force, stage=stage)
    if json:
        print_json(results)
    else:
        print_results(results)
        print(f"\nreport: {out / 'report.html'}")


def _reproduce_all(
    images: str | None, count: int, rivals: str, seed: int, out: Path, resume: bool, force: bool, json: bool
) -> None:
    """The main job for all classes."""
    from thermogen.cli.console import print_json, stage, stoppable
    from thermogen.cli.tables import print_comparison
    from thermogen.data import load_split
    from thermogen.errors import require
    from thermogen.parallel import process_count
    from thermogen.quality import load_classifier
    from thermogen.studies.all_classes import reproduce_all_classes
    from thermogen.studies.conditional_training import ConditionalSettings

    require(process_count() == 1, "--digits all cannot be shared: run it as one process")
    with stoppable(f"what is done is kept in {out}: go on with --resume"):
        results = reproduce_all_classes(
            load_split(images),
            ConditionalSettings(seed=seed),
            count,
            out,
            classifier=load_classifier(),
            rivals=rivals,
            resume=resume,
            force=force,
            stage=stage,
        )
    if json:
        print_json(results)
    else:
        print_comparison({**results, "out": str(out / "comparison" / "comparison.json")})
        print(f"\nreport: {out / 'report.html'}")
