"""The commands. Heavy imports happen inside them, so that help is instant."""

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
    "thermal motion assembles images, and account for the heat.",
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
    from thermogen.experiment import Settings
    from thermogen.reproduce import Measures
    from thermogen.reproduce import reproduce as run

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
    from thermogen.modal import ModalSettings
    from thermogen.parallel import process_count
    from thermogen.quality import load_classifier
    from thermogen.tenfold import reproduce_all

    require(process_count() == 1, "--digits all cannot be shared: run it as one process")
    with stoppable(f"what is done is kept in {out}: go on with --resume"):
        results = reproduce_all(
            load_split(images),
            ModalSettings(seed=seed),
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


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Model folder to write.", rich_help_panel="The run")],
    images: o.ImageFile = None,
    digits: o.Digits = "",
    chip: o.DefectMap = None,
    imprint: o.Imprint = None,
    trainer: o.Trainer = "exact",
    cycles: o.Cycles = 100,
    dt: o.Dt = 1e-3,
    seed: o.Seed = 0,
    resume: o.Resume = False,
    force: o.Force = False,
    json: o.Json = False,
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
    per_class: o.PerClass = False,
    ridge: o.Ridge = 0.0,
    compress: o.Compress = None,
) -> None:
    """Train a computer on the shipped digits or on your own images, and save it as a model folder.

    The default is exact training: the optimum over all thermal noise, with a code for the label on the
    hidden units and trained visible biases. The rules that follow trajectories have the published defaults.

    Examples:

        thermogen train --out models/digits

        thermogen train --images faces.npz --segments 5 --compress 1e-3 --out models/faces

        thermogen train --trainer online --imprint projection --out models/online

        thermogen train --chip chip.npz --out models/repaired
    """
    from thermogen.cli.console import print_json, stage, stoppable, training_summary
    from thermogen.errors import require
    from thermogen.experiment import Settings, prepare
    from thermogen.parallel import first, is_first, process_count
    from thermogen.store import check_free, read_card

    settings = Settings.of(
        digits=o.parse_digits(digits or ("" if images else "0,1,2")),
        images=images,
        imprint=imprint,
        trainer=trainer,
        cycles=cycles,
        delay=delay,
        trajectories=trajectories,
        optimizer=optimizer,
        learning_rate=learning_rate,
        train_visible_biases=train_visible_biases,
        segments=segments,
        per_class=per_class,
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
    require(
        trainer == "exact" or process_count() == 1,
        f"trainer {trainer!r} follows one cycle after the other, which processes cannot share: run it as one "
        "process, or use --trainer exact",
    )
    experiment = prepare(settings, chip)
    check_free(out, force)
    checkpoint = out.with_name(out.name + ".unfinished")
    first("the claim", lambda: _claim_checkpoint(checkpoint, resume, force))
    with stoppable(f"what is done is kept in {checkpoint}: go on with --resume"):
        result = experiment.train(checkpoint, stage)
    if not is_first():
        return
    experiment.model(result).save_pretrained(out, force=force)
    for part in _checkpoints(checkpoint):
        part.unlink()
    if json:
        print_json(read_card(out))
    else:
        print(f"{training_summary(result, cycles)} in {result.seconds:.1f} s; model: {out}")


def _claim_checkpoint(checkpoint: Path, resume: bool, force: bool) -> None:
    from thermogen.errors import require

    require(not (resume and force), "--resume and --force contradict each other: give one of them")
    parts = _checkpoints(checkpoint)
    if parts:
        require(
            resume or force,
            f"{checkpoint} is an unfinished training: go on with --resume, or start with --force",
        )
        if force:
            for part in parts:
                part.unlink()


def _checkpoints(checkpoint: Path) -> list[Path]:
    """The file of an unfinished training, and those of its classes."""
    return sorted(
        path for path in (checkpoint, *checkpoint.parent.glob(f"{checkpoint.name}.*")) if path.exists()
    )


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
    from thermogen.measure import summary
    from thermogen.parallel import is_first
    from thermogen.store import Model

    write = write_samples(out, force)
    loaded = Model.from_pretrained(model)
    stepping = Stepping(dt, integrator, noise, products, double).settled(loaded, seed)
    identity = identity_of_samples(loaded, stepping, count=count, seed=seed, label=label)
    with (
        stoppable(f"nothing was written to {out}; finished batches are kept, go on with --resume"),
        kept_batches(out, identity, resume, force) as batches,
    ):
        samples = generate_from(loaded, count, seed, stepping, stage, label, batches)
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
    from thermogen.runfolder import write_atomically
    from thermogen.store import Model

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
    """Show what a model folder holds: units, couplings, protocol, data, training, figures; check it."""
    from thermogen.cli.console import print_json
    from thermogen.cli.work import print_card
    from thermogen.store import Model, read_card

    Model.from_pretrained(model)  # the weights are checked too
    card = read_card(model)
    print_json(card) if json else print_card(card)
