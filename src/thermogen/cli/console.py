"""Output for a person: progress and time left on standard error, results as tables on standard output."""

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

from thermogen.cli.tables import plain_table
from thermogen.parallel.group import shows_progress


@contextmanager
def stage(name: str, total: int) -> Iterator[Any]:
    """A progress bar for one stage of long work. Of several processes only the first shows it."""
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
    """On Ctrl-C print how to continue, and exit with code 130."""
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
    """The training of a run, in a few words."""
    if result.exact is None:
        return f"{cycles} cycles"
    text = f"exact, {result.exact['iterations']} iterations to {result.exact['residual']:.0e}"
    if "ranks" in result.exact:
        ranks = ", ".join(f"{link} {rank}" for link, rank in result.exact["ranks"].items())
        text += f", rank {ranks} at force error {result.exact['force_error']:.0e},"
    return text


def print_results(results: dict[str, Any]) -> None:
    """The main numbers of a run, with published ones where there are any."""
    published, rows = results.get("published", {}), []
    heat = ratio = ""
    if published:
        paper, batch = published["heat_kT"], published["heat_kT_wang_deng"]
        heat = f"{paper['mean']:.0f} ± {paper['std']:.0f}*; {batch['mean']:.0f}**"
        ratio = f"> {published['ratio']:.0e}*"
    rows += [("heat / kT", with_error(results["heat_kT"]), heat)]
    rows += [("work / kT", with_error(results["work_kT"], 3))]
    if "entropy" in results:
        entropy = results["entropy"]
        rows += [("entropy production / k", f"at most {entropy['total_bound']:.4g}")]
        rows += [("  of which the system's", f"at most {entropy['change_bound']:.4g}")]
    counts = ", ".join(f"{label}: {n}" for label, n in results["prototype_counts"].items())
    rows += [("best correlation", with_error(results["prototype_correlation"], 3))]
    rows += [("nearest prototype", counts)]
    if "path_ratio" in results:
        path_ratio = results["path_ratio"]
        rows += [("ln path ratio", with_error(path_ratio["total"]))]
        rows += [("  heat part", with_error(path_ratio["heat_part"]), "all of it*")]
        rows += [("  force part", with_error(path_ratio["force_part"]))]
    alone = results["energy"]["ratios"]["heat alone"]
    rows += [("digital / heat", "-" if alone is None else f"{alone:.2g}", ratio)]
    if "seconds" in results:
        rows += [("seconds", ", ".join(f"{name} {value:.0f}" for name, value in results["seconds"].items()))]
    console = Console()
    console.print(plain_table("", "this run ± standard error", "published", rows=rows, left=(0, 1, 2)))
    if published:
        console.print("* Whitelam 2026 (± sd)  ** Wang & Deng 2026, batch", style="dim", highlight=False)
