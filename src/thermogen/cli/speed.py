"""The command that times this machine and the program on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from thermogen.cli import options as o
from thermogen.cli.app import app
from thermogen.cli.console import print_json, stage, stoppable
from thermogen.cli.tables import plain_table
from thermogen.errors import require


@app.command()
def bench(
    batch: Annotated[int, typer.Option(help="Samples that step together.")] = 250,
    visible: Annotated[int, typer.Option(help="Visible units of the timed steps.")] = 784,
    hidden: Annotated[int, typer.Option(help="Hidden units.")] = 512,
    turns: Annotated[int, typer.Option(help="Repetitions; medians are shown.")] = 9,
    count: o.Count = 1000,
    history: Annotated[
        Path | None,
        typer.Option(
            help="Append the result to this file, and compare with the last one of this machine.",
            metavar="FILE.jsonl",
            show_default=False,
        ),
    ] = None,
    json: o.Json = False,
) -> None:
    """Time this machine: bounds of a step, each form of the step, samples, training, compiling.

    Bounds are matrix products alone, noise alone and one pass over the state. All have one size and batch.
    They run in turns, so that ratios are valid on a busy machine. Each timed call generates --count samples;
    with 0, only bounds and steps are timed. It takes a minute or two.

    Examples:

        thermogen bench

        thermogen bench --count 0 --batch 1000

        thermogen bench --json > bench.json

        thermogen bench --history benchmarks/history.jsonl
    """
    from thermogen.studies.speed import SpeedSettings
    from thermogen.studies.speed import bench as run
    from thermogen.studies.speed.run import changes, earlier, keep

    if history is not None:
        require(history.parent.is_dir(), f"folder {history.parent} does not exist: create it first")
        require(not history.is_dir(), f"{history} is a folder: name a file")
    with stoppable("nothing was written"):
        results = run(SpeedSettings(visible, hidden, batch, turns, count), stage)
    old = None
    if history is not None:
        old = earlier(history, results)
        keep(history, results)
    if json:
        print_json(results)
        return
    _show(results)
    if old is not None:
        print(f"\nagainst {old['when']}, this machine (milliseconds, more than 10 % apart):")
        apart = {name: change for name, change in changes(old, results).items() if abs(change) > 0.1}
        for name, change in apart.items():
            print(f"  {name}: {100 * change:+.0f} %")
        if not apart:
            print("  none")


def _show(results: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    machine, units, devices = results["machine"], results["units"], results["machine"]["devices"]
    console.print(
        f"{machine['processor']}, {machine['cores']} cores; {devices['count']} x {devices['kind']}; "
        f"jax {results['versions']['jax']}\n"
        f"{results['batch']} samples of {units['visible']} + {units['hidden']} units\n"
    )
    rates = {"gflops": "GFLOP/s", "numbers_per_ns": "numbers/ns", "gigabytes_per_s": "GB/s"}
    rows = [
        (
            name,
            f"{row['ms']:.3f}",
            *(f"{row[rate]:.3g} {unit}" for rate, unit in rates.items() if rate in row),
        )
        for name, row in results["bounds"].items()
    ]
    console.print(plain_table("bound, alone", "ms", "", rows=rows))
    table = plain_table("step", "ms", "ns/unit", "x full", "of its products", "compile s")
    for name, row in results["steps"].items():
        share = row.get("of_its_products")
        table.add_row(
            name,
            f"{row['ms']:.3f}",
            f"{row['ns_per_unit']:.2f}",
            f"{row['faster_than_full']['median']:.2f}",
            "" if share is None else f"{share['median']:.2f}",
            f"{row['compile_s']:.1f}",
        )
    console.print(table)
    if "samples" not in results:
        return
    rows = [
        (name, str(row["steps"]), f"{row['ms']:.3g}", f"{row['samples_per_s']:.0f}",
         f"{row['published_over_this']:,.0f}", f"{row['heat_kT']:.0f}")
        for name, row in results["samples"].items()
    ]  # fmt: skip
    console.print(plain_table("sample", "steps", "ms", "per s", "x published", "heat / kT", rows=rows))
    seconds = results["training"]
    console.print(
        f"exact training of three digits: {seconds['statistics']:.2f} s statistics, "
        f"{seconds['solution']:.2f} s solution (compile {seconds['solution_compile_s']:.1f} s)\n"
        f"a cycle by gradient: {seconds['cycle']:.3f} s (compile {seconds['cycle_compile_s']:.1f} s; "
        f"published program {results['published_s']['cycle']:.3g} s)"
    )
