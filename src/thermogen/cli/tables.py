"""Quality as tables for a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table


def percent(share: dict[str, Any] | None) -> str:
    """'98.4 % [97.8, 98.9]'."""
    if share is None:
        return "-"
    return f"{100 * share['mean']:.1f} % [{100 * share['low']:.1f}, {100 * share['high']:.1f}]"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", justify="left" if number == 0 else "right")
    return table


_MEASURES = ("precision", "recall", "density", "coverage", "entropy", "diversity", "sharpness")


def print_quality(results: dict[str, Any]) -> None:
    """What `thermogen evaluate` found: a column for each read-out, null and ceiling."""
    columns = {name: results[name] for name in ("raw", "averaged")} | results["controls"]
    table = _table("", *columns)

    def row(name: str, cell: Callable[[dict[str, Any]], str]) -> None:
        table.add_row(name, *(cell(found) for found in columns.values()))

    row("n", lambda found: str(found["n"]))
    if "accuracy" in results["raw"]:
        row("class right, %", lambda found: f"{100 * found['accuracy']['mean']:.2f}")
        row("  from", lambda found: f"{100 * found['accuracy']['low']:.2f}")
        row("  to (95 %)", lambda found: f"{100 * found['accuracy']['high']:.2f}")
    row("Fréchet", lambda found: f"{found['frechet']['mean']:.1f}")
    row("  ±", lambda found: f"{found['frechet']['sem']:.1f}")
    for name in _MEASURES:
        row(name, lambda found, name=name: f"{found[name]:.3f}")
    row("nearest training", lambda found: f"{found['nearest']['median']:.3f}")
    row("copies, %", lambda found: f"{100 * found['nearest']['copies']:.2f}")
    console = Console()
    console.print(table)
    by_class = results["averaged"].get("accuracy", {}).get("by_class", {})
    if by_class:
        shares = ", ".join(f"{label}: {100 * share:.1f}" for label, share in by_class.items())
        console.print(f"class right, averaged read-out, %: {shares}", highlight=False)
    if "unconditional" in results:
        free = results["unconditional"]
        counts = ", ".join(f"{label}: {n}" for label, n in free["classes"].items())
        console.print(f"no class asked for: entropy {free['entropy']:.3f} ({counts})", highlight=False)
    heat, near = results["heat_kT"], results["averaged"]["nearest"]
    console.print(
        f"heat {heat['mean']:.0f} ± {heat['sem']:.0f} kT; nearest training image {near['median']:.3f}, that "
        f"of held-out images {near['held_out']:.3f}, copies {100 * near['copies']:.1f} %; "
        f"classifier {results['averaged']['classifier']}",
        highlight=False,
    )


def print_comparison(results: dict[str, Any]) -> None:
    """What `thermogen compare` found."""
    table = _table("generator", "class right, %", "Fréchet", "training, s", "energy, J", "s a sample")
    for row in results["rows"]:
        accuracy, distance = row["quality"].get("accuracy"), row["quality"]["frechet"]
        table.add_row(
            row["name"],
            "-" if accuracy is None else f"{100 * accuracy['mean']:.1f}",
            f"{distance['mean']:.1f} ± {distance['sem']:.1f}",
            f"{row['training_seconds']:.0f}",
            *(f"{row[key]:.1e}" for key in ("joules", "seconds_per_sample")),
        )
    Console().print(table)
    print(f"\nn = {results['count']} each, with intervals: {results['out']}")
