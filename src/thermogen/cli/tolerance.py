"""The command that makes a trained computer worse and says how much it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from thermogen.cli import options as o
from thermogen.cli.asked import ClassifierFile, ImageSet
from thermogen.cli.commands import app


@app.command()
def sweep(
    model: o.ModelFolder,
    flaw: Annotated[
        list[str] | None,
        typer.Option(
            "--flaw",
            help="Imperfection to sweep; may be given several times (default: all of them).",
            show_default=False,
        ),
    ] = None,
    values: Annotated[
        str | None,
        typer.Option(help="Its values, e.g. 0,0.05,0.1 (default: some for each imperfection)."),
    ] = None,
    devices: Annotated[int, typer.Option(help="Independent devices at every value.")] = 5,
    count: Annotated[int, typer.Option(help="Samples of every device.")] = 100,
    others: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="NAME=VALUE",
            show_default=False,
            help="What else is wrong with every device; may be given several times.",
        ),
    ] = None,
    dt: Annotated[float | None, typer.Option(help="Time step (default: the model's).")] = None,
    images: ImageSet = None,
    classifier: ClassifierFile = None,
    seed: o.Seed = 0,
    out: Annotated[
        Path, typer.Option(help="Folder for sweep.json, sweep.md, sweep.png and every finished device.")
    ] = Path("runs/sweep"),
    force: o.Force = False,
    json: o.Json = False,
) -> None:
    """Build a trained computer from imperfect parts, worse and worse, and see what quality and heat become.

    Couplings of few bits, in error, one-sided, dead or of limited range; units that differ; noise that is
    uneven, excessive or correlated; slow or noisy read-out; slow switching. Several devices are drawn, each
    compared with the perfect one on the same noise. An interrupted call goes on where it was.

    Names: bits, bias_bits, coupling_limit, coupling_error, asymmetry, dead, linear_range, mismatch_J2,
    mismatch_J4, mismatch_mobility, offset, temperature_gradient, excess_noise, noise_time, readout_noise,
    readout_time, switching_time.

    Examples:

        thermogen sweep models/digits --flaw mismatch_J2 --values 0,0.05,0.1

        thermogen sweep models/digits --flaw dead --with bits=6 --with asymmetry=0.02 --out runs/dead

        thermogen sweep models/mnist --images mnist.npz --count 500 --dt 0.01
    """  # fmt: skip
    from thermogen.cli.console import print_json, stage, stoppable
    from thermogen.control import ConditionSet
    from thermogen.data import load_split
    from thermogen.errors import require
    from thermogen.hardware.imperfect.imperfections import Imperfections
    from thermogen.parallel import is_first
    from thermogen.quality import load_classifier
    from thermogen.storage.model import Model
    from thermogen.studies.evaluation import reference_of
    from thermogen.studies.tolerance import FLAWS, check_flaw
    from thermogen.studies.tolerance import sweep as measured

    names = list(dict.fromkeys(flaw)) if flaw else list(FLAWS)
    for name in names:
        check_flaw(name)
    require(
        values is None or len(names) == 1, f"--values for {len(names)} imperfections: name one with --flaw"
    )
    chosen = None if values is None else _numbers(values)
    base = Imperfections()
    for one in others or ():
        name, _, value = one.partition("=")
        require(bool(value), f"--with {one!r} is no NAME=VALUE: write e.g. --with bits=6")
        base = Imperfections.named(name, *_numbers(value), base=base)
    for value in chosen or ():
        Imperfections.named(names[0], value, base)
    write = _writer(out, force)
    loaded = Model.from_pretrained(model)
    asked = isinstance(loaded.computer, ConditionSet)
    with stoppable(f"finished devices are kept in {out}: give the same command to go on"):
        reference = reference_of(load_split(images), load_classifier(classifier)) if asked else None
        sweeps = [
            measured(
                loaded, name, chosen, devices=devices, count=count, seed=seed, dt=dt, base=base,
                reference=reference, folder=out / "devices", stage=stage,
            )
            for name in names
        ]  # fmt: skip
    if not is_first():
        return
    results = {"model": str(model), "sweeps": sweeps}
    write(results)
    if json:
        print_json(results)
    else:
        _show(sweeps)
        print(f"figure and tables: {out / 'sweep.png'}, {out / 'sweep.md'}")


def _numbers(text: str) -> list[float]:
    """'0,0.05,0.1' as numbers; InputError for anything else."""
    from thermogen.errors import InputError

    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise InputError(f"values {text!r} are no list of numbers: write e.g. 0,0.05,0.1") from error


def _writer(folder: Path, force: bool) -> Any:
    """A writer of the three files, the folder being checked before any work is done."""
    import shutil

    from thermogen.cli.work import write_json
    from thermogen.errors import require
    from thermogen.parallel import first
    from thermogen.report.tolerance import tolerance_figure, tolerance_markdown
    from thermogen.storage.run_folder import write_atomically

    files = [folder / f"sweep{ending}" for ending in (".json", ".md", ".png")]
    require(not folder.exists() or folder.is_dir(), f"{folder} is a file: name a folder")
    old = [file.name for file in files if file.exists()]
    require(force or not old, f"{folder} holds {', '.join(old)}: kept; choose another --out, or use --force")
    if force:
        first("the claim", lambda: shutil.rmtree(folder / "devices", ignore_errors=True))

    def write(results: dict[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(files[1], tolerance_markdown(results["sweeps"]))
        files[2].write_bytes(tolerance_figure(results["sweeps"]))
        write_json(files[0], results)

    return write


def _show(sweeps: list[dict[str, Any]]) -> None:
    """A table of every value: quality and heat, and what is tolerated."""
    from rich.console import Console
    from rich.table import Table

    from thermogen.report.tolerance import limit_in_words, plain
    from thermogen.report.tolerance import with_interval as cell

    console = Console()
    for one in sweeps:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column(one["flaw"])
        for column in (one["measure"], "of perfect, %", "heat, kT"):
            table.add_column(column, justify="right", no_wrap=True)
        for name, row in [("perfect", one["perfect"])] + [(f"{row['value']:g}", row) for row in one["rows"]]:
            shares = cell(row["quality"], 3), cell(row["quality_share"], 1, 100), cell(row["heat_kT"], 0)
            table.add_row(name, *shares)
        console.print(f"[bold]{plain(one['label'])}[/]: 95 % of quality kept {limit_in_words(one)}")
        console.print(table)
        console.print()
