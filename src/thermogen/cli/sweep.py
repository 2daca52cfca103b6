"""The command that sweeps imperfections of a trained computer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import thermogen as tg
from thermogen.cli import options as o
from thermogen.cli.app import app
from thermogen.cli.console import print_json, stage, stoppable
from thermogen.cli.tables import plain_table
from thermogen.errors import require


@app.command()
def sweep(
    model: o.ModelFolder,
    imperfection: Annotated[
        list[str] | None,
        typer.Option(
            "--imperfection",
            help="Imperfection to sweep; repeat for more. Default: all of them.",
            show_default=False,
        ),
    ] = None,
    values: Annotated[
        str | None,
        typer.Option(help="Its values, e.g. 0,0.05,0.1. Default: a few for each imperfection."),
    ] = None,
    devices: Annotated[int, typer.Option(help="Independent devices at every value.")] = 5,
    count: o.Count = 100,
    others: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="NAME=VALUE",
            show_default=False,
            help="A further imperfection of every device; repeat for more.",
        ),
    ] = None,
    dt: o.Dt = None,
    images: o.Images = None,
    classifier: o.Classifier = None,
    seed: o.Seed = 0,
    out: o.OutFolder = Path("runs/sweep"),
    force: o.Force = False,
    json: o.Json = False,
) -> None:
    """Measure quality and heat of a trained computer on imperfect devices, for growing imperfection.

    Imperfections are couplings of few bits, with errors, asymmetric, dead or of limited range; mismatched
    units; uneven, excessive or correlated noise; slow or noisy read-out; slow switching. Each device is
    compared with the perfect one on the same noise. --count is the number of samples of a device. Writes
    sweep.json, sweep.md, sweep.png and every finished device into --out. An interrupted call continues there.

    Names: bits, bias_bits, coupling_limit, coupling_error, asymmetry, dead, linear_range, mismatch_J2,
    mismatch_J4, mismatch_mobility, offset, temperature_gradient, excess_noise, noise_time, readout_noise,
    readout_time, switching_time.

    Examples:

        thermogen sweep models/digits --imperfection mismatch_J2 --values 0,0.05,0.1

        thermogen sweep models/digits --imperfection dead --with bits=6 --with asymmetry=0.02 --out runs/dead

        thermogen sweep models/mnist --images mnist.npz --count 500 --dt 0.01
    """  # fmt: skip
    import shutil

    from thermogen.cli.writing import check_free_of, write_json
    from thermogen.control import ConditionSet
    from thermogen.hardware.imperfect.imperfections import Imperfections
    from thermogen.parallel import first, is_first
    from thermogen.report.tolerance import tolerance_figure, tolerance_markdown
    from thermogen.storage.run_folder import write_atomically
    from thermogen.studies.evaluation import reference_of
    from thermogen.studies.time_step import at_step
    from thermogen.studies.tolerance import SWEPT, swept_imperfection
    from thermogen.studies.tolerance import sweep as run

    names = list(dict.fromkeys(imperfection)) if imperfection else list(SWEPT)
    for name in names:
        swept_imperfection(name)
    require(
        values is None or len(names) == 1,
        f"--values for {len(names)} imperfections: name one with --imperfection",
    )
    chosen = None if values is None else _numbers(values)
    base = Imperfections()
    for setting in others or ():
        name, _, value = setting.partition("=")
        require(bool(value), f"--with {setting!r} is no NAME=VALUE: write e.g. --with bits=6")
        base = Imperfections.named(name, *_numbers(value), base=base)
    for value in chosen or ():
        Imperfections.named(names[0], value, base)
    files = check_free_of(out, ("sweep.json", "sweep.md", "sweep.png"), force)
    if force:
        first("the claim", lambda: shutil.rmtree(out / "devices", ignore_errors=True))
    stored = tg.Model.from_pretrained(model)
    conditional = isinstance(stored.computer, ConditionSet)
    with stoppable(f"finished devices are kept in {out}: give the same command to go on"):
        reference = (
            reference_of(tg.load_split(images), tg.quality.load_classifier(classifier))
            if conditional
            else None
        )
        stored = at_step(stored, dt, seed)
        sweeps = [
            run(
                stored, name, chosen, devices=devices, count=count, seed=seed, base=base,
                reference=reference, folder=out / "devices", stage=stage,
            )
            for name in names
        ]  # fmt: skip
    if not is_first():
        return
    results = {"model": str(model), "sweeps": sweeps}
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(files[1], tolerance_markdown(sweeps))
    files[2].write_bytes(tolerance_figure(sweeps))
    write_json(files[0], results)
    if json:
        print_json(results)
    else:
        _show(sweeps)
        print(f"figure and tables: {out / 'sweep.png'}, {out / 'sweep.md'}")


def _numbers(text: str) -> list[float]:
    return list(o.parse_list(text, float, "values", "0,0.05,0.1"))


def _show(sweeps: list[dict[str, Any]]) -> None:
    """A table of every value: quality and heat, and the tolerated range."""
    from rich.console import Console

    from thermogen.report.tolerance import limit_in_words, plain
    from thermogen.report.tolerance import with_interval as cell

    console = Console()
    for sweep in sweeps:
        rows = [
            (name, cell(row["quality"], 3), cell(row["quality_share"], 1, 100), cell(row["heat_kT"], 0))
            for name, row in (("perfect", sweep["perfect"]), *((f"{r['value']:g}", r) for r in sweep["rows"]))
        ]
        console.print(f"[bold]{plain(sweep['label'])}[/]: 95 % of quality kept {limit_in_words(sweep)}")
        console.print(
            plain_table(sweep["imperfection"], sweep["measure"], "of perfect, %", "heat, kT", rows=rows)
        )
        console.print()
