"""The command of the energy ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import thermogen as tg
from thermogen.cli import options as o
from thermogen.cli.app import app
from thermogen.cli.console import print_json, stage, stoppable
from thermogen.cli.tables import print_ledger
from thermogen.errors import require


@app.command()
def ledger(
    model: Annotated[
        Path | None, typer.Argument(help="Model folder.", metavar="MODEL", show_default=False)
    ] = None,
    count: o.Count = 100,
    parameters: Annotated[
        Path | None,
        typer.Option(help="Prices: an edited copy of the parameter file, or some of its entries."),
    ] = None,
    write_parameters: Annotated[
        Path | None, typer.Option(help="Write the documented parameter file here, to edit, and stop.")
    ] = None,
    measured: Annotated[
        bool, typer.Option("--measured", help="Also measure this machine while it simulates (RAPL, NVML).")
    ] = False,
    seed: o.Seed = 0,
    dt: o.Dt = None,
    out: Annotated[Path | None, o.out("a folder for ledger.json, ledger.md and ledger.png")] = None,
    force: o.Force = False,
    json: o.Json = False,
) -> None:
    """List the energy of a generated sample line by line, with source and kind of evidence.

    Lines: heat, work of switching, read-out, coupling writes, coupling hold, standby. For comparison: the
    digital denoiser of the paper, and the simulation of the same computer. The ratios of both sides go from
    heat alone to the complete device.

    Examples:

        thermogen ledger models/digits --count 200 --out runs/ledger

        thermogen ledger --write-parameters prices.toml

        thermogen ledger models/digits --parameters prices.toml
    """
    from dataclasses import asdict

    from thermogen.cli.samples import generate_from
    from thermogen.cli.writing import check_file, check_free_of, write_json
    from thermogen.ledger import default_text, load_parameters, make_ledger, measure_joules, workload_of
    from thermogen.report.ledger import ledger_figure, ledger_markdown
    from thermogen.storage.run_folder import write_atomically
    from thermogen.studies.time_step import at_step

    if write_parameters is not None:
        require(model is None, f"{model} with --write-parameters, which only writes the file: leave one out")
        check_file(write_parameters, force, (".toml",))
        write_parameters.write_text(default_text(), encoding="utf-8")
        print(f"prices to edit: {write_parameters}")
        return
    require(model is not None, "no model: give a model folder, or --write-parameters FILE.toml")
    assert model is not None
    prices = load_parameters(parameters)
    names = ("ledger.json", "ledger.md", "ledger.png")
    files = [] if out is None else check_free_of(out, names, force)
    stored = tg.Model.from_pretrained(model)
    with stoppable("nothing was written"):
        stored = at_step(stored, dt, seed)
        samples = generate_from(stored, count, seed, stage)
        # Generated a second time, so that the counters do not include compilation.
        joules = measure_joules(lambda: generate_from(stored, count, seed, stage)) if measured else None
    workload = workload_of(stored.computer, samples, stored.schedule)
    results = {
        **asdict(make_ledger(workload, prices, joules)),
        "workload": asdict(workload),
        "prices": asdict(prices),
        "model": str(model),
    }
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_json(files[0], results)
        write_atomically(files[1], ledger_markdown(results))
        files[2].write_bytes(ledger_figure(results))
    print_json(results) if json else print_ledger(results)
