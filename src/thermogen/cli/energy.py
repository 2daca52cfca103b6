"""The command that puts joules on every step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from thermogen.cli import options as o
from thermogen.cli.commands import app


@app.command()
def ledger(
    model: Annotated[
        Path | None, typer.Argument(help="Model folder.", metavar="MODEL", show_default=False)
    ] = None,
    count: Annotated[int, typer.Option(help="Samples to measure heat and work on.")] = 100,
    parameters: Annotated[
        Path | None, typer.Option(help="Prices: an edited copy of the parameter file, or parts of it.")
    ] = None,
    write_parameters: Annotated[
        Path | None, typer.Option(help="Write the documented parameter file here, to edit, and stop.")
    ] = None,
    measured: Annotated[
        bool, typer.Option("--measured", help="Also measure this machine while it simulates (RAPL, NVML).")
    ] = False,
    seed: o.Seed = 0,
    dt: Annotated[float | None, typer.Option(help="Time step (default: the model's).")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for ledger.json, ledger.md and ledger.png.", show_default=False),
    ] = None,
    force: o.Force = False,
    json: o.Json = False,
) -> None:
    """Put joules on every step of a generated sample, each with its source and kind of evidence.

    Heat, work of switching, read-out, writing and holding of couplings, standby; beside it the digital
    denoiser of the paper, and the simulation of this very computer. The ratio of the two sides, from heat
    alone to the whole device.

    Examples:

        thermogen ledger models/digits --count 200 --out runs/ledger

        thermogen ledger --write-parameters prices.toml

        thermogen ledger models/digits --parameters prices.toml
    """
    from dataclasses import asdict

    from thermogen.cli.console import print_json, stage, stoppable
    from thermogen.cli.tables import print_ledger
    from thermogen.cli.work import check_file, ledger_of_model, write_ledger
    from thermogen.errors import require
    from thermogen.ledger import default_text, load_parameters
    from thermogen.storage.model import Model

    if write_parameters is not None:
        require(model is None, f"{model} with --write-parameters: it only writes the file, leave one out")
        check_file(write_parameters, force, (".toml",))
        write_parameters.write_text(default_text(), encoding="utf-8")
        print(f"prices to edit: {write_parameters}")
        return
    require(model is not None, "no model: give a model folder, or --write-parameters FILE.toml")
    assert model is not None
    prices = load_parameters(parameters)
    write = None if out is None else write_ledger(out, force)
    loaded = Model.from_pretrained(model)
    with stoppable("nothing was written"):
        found, workload = ledger_of_model(loaded, count, seed, dt, prices, measured, stage)
    results = {
        **asdict(found),
        "workload": asdict(workload),
        "prices": asdict(prices),
        "model": str(model),
    }
    if write is not None:
        write(results)
    print_json(results) if json else print_ledger(results)
