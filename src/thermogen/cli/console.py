"""What a person sees: progress with time left on standard error, results as tables on standard output."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from thermogen.parallel.group import shows_progress


@contextmanager
def stage(name: str, total: int) -> Iterator[Any]:
    """A progress bar for one stage of long work; of several processes only the first shows it."""
    if not shows_progress():
        yield lambda done, note="": None
        return
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=max(total, 1), note="")

        def tick(done: int, note: str = "") -> None:
            progress.update(task, completed=done, note=note)

        yield tick
        progress.update(task, completed=max(total, 1))


@contextmanager
def stoppable(remedy: str) -> Iterator[None]:
    """On Ctrl-C say how to go on, and end with exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        Console(stderr=True).print(f"\nthermogen: stopped; {remedy}", highlight=False)
        raise typer.Exit(130) from None


def print_json(value: Any) -> None:
    """Machine-readable output."""
    print(json.dumps(value, indent=2))


def with_error(figure: dict[str, Any], digits: int = 4) -> str:
    """'1204 ± 18 (sd 181, n 100)'."""
    if figure["sem"] is None:
        return f"{figure['mean']:.{digits}g} (n {figure['n']})"
    return f"{figure['mean']:.{digits}g} ± {figure['sem']:.2g} (sd {figure['std']:.3g}, n {figure['n']})"


def training_summary(result: Any, cycles: int) -> str:
    """What was done, in a few words."""
    if result.exact is None:
        return f"{cycles} cycles"
    text = f"exact, {result.exact['iterations']} iterations to {result.exact['residual']:.0e}"
    if "ranks" in result.exact:
        ranks = ", ".join(f"{link} {rank}" for link, rank in result.exact["ranks"].items())
        text += f", rank {ranks} at force error {result.exact['force_error']:.0e},"
    return text


def print_results(results: dict[str, Any]) -> None:
    """The main numbers of a run, beside the published ones where there are any."""
    published = results.get("published", {})
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "this run ± standard error", "published"):
        table.add_column(column, overflow="fold")
    theirs = ""
    if published:
        paper, other = published["heat_kT"], published["heat_kT_wang_deng"]
        theirs = f"{paper['mean']:.0f} ± {paper['std']:.0f}*; {other['mean']:.0f}**"
    table.add_row("heat / kT", with_error(results["heat_kT"]), theirs)
    table.add_row("work / kT", with_error(results["work_kT"], 3))
    if "entropy" in results:
        entropy = results["entropy"]
        table.add_row("entropy production / k", f"at most {entropy['total_bound']:.4g}")
        table.add_row("  of which the system's", f"at most {entropy['change_bound']:.4g}")
    correlation = results["prototype_correlation"]
    table.add_row("best correlation", with_error(correlation, 3))
    counts = ", ".join(f"{label}: {n}" for label, n in results["prototype_counts"].items())
    table.add_row("nearest prototype", counts)
    if "path_ratio" in results:
        ratio = results["path_ratio"]
        table.add_row("ln path ratio", with_error(ratio["total"]))
        table.add_row("  heat part", with_error(ratio["heat_part"]), "all of it*")
        table.add_row("  force part", with_error(ratio["force_part"]))
    alone = results["energy"]["ratios"]["heat alone"]
    theirs = f"> {published['ratio']:.0e}*" if published else ""
    table.add_row("digital / heat", "-" if alone is None else f"{alone:.2g}", theirs)
    if "seconds" in results:
        seconds = ", ".join(f"{name} {value:.0f}" for name, value in results["seconds"].items())
        table.add_row("seconds", seconds)
    console = Console()
    console.print(table)
    if published:
        console.print("* Whitelam 2026 (± sd)  ** Wang & Deng 2026, batch", style="dim", highlight=False)
