"""The command that tests published claims."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import thermogen as tg
from thermogen.cli import options as o
from thermogen.cli.app import app
from thermogen.cli.console import print_json, stage, stoppable
from thermogen.cli.tables import print_claims


@app.command()
def claims(
    numbers: Annotated[
        list[int] | None, typer.Argument(help="Numbers of claims. Default: all of them.", show_default=False)
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Minutes instead of hours: fewer seeds, a coarser step.")
    ] = False,
    images: o.Images = None,
    out: Annotated[
        Path | None, o.out("a folder for every run (default: runs/claims, or runs/claims-quick)")
    ] = None,
    force: o.Force = False,
    json: o.Json = False,
) -> None:
    """Test the published claims and print the table.

    The table lists every quantitative claim of the paper and of later papers: the published figure, our
    figure with its interval over independent seeds, and a verdict. Each claim fixes its time steps. --out
    keeps finished runs, claims.json and claims.md. An interrupted call continues; --force runs the chosen
    claims again. --quick takes less than ten minutes on two cores, the full setting an hour or more.

    Examples:

        thermogen claims --quick

        thermogen claims 12 --quick

        thermogen claims --json
    """
    from thermogen.studies.claims import Plan, run_claims

    folder = out or Path("runs/claims-quick" if quick else "runs/claims")
    plan = Plan.of(quick, None if images is None else tg.load_split(images))
    with stoppable(f"finished runs are kept in {folder}: give the same command to go on"):
        results = run_claims(plan, folder, numbers or (), force=force, stage=stage)
    if json:
        print_json(results)
    else:
        print_claims(results)
        print(f"\nall figures: {folder / 'claims.md'}")
