"""Quality as tables for a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def percent(share: dict[str, Any] | None) -> str:
    """'98.4 % [97.8, 98.9]'."""
    if share is None:
        return "-"
    return f"{100 * share['mean']:.1f} % [{100 * share['low']:.1f}, {100 * share['high']:.1f}]"


def plain_table(*columns: str) -> Table:
    """A table without lines: a left column, the others to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", justify="left" if number == 0 else "right")
    return table


_MEASURES = ("precision", "recall", "density", "coverage", "entropy", "diversity", "sharpness")


def print_quality(results: dict[str, Any]) -> None:
    """What `thermogen evaluate` found: a column for each read-out, null and ceiling."""
    columns = {name: results[name] for name in ("raw", "averaged")} | results["controls"]
    table = plain_table("", *columns)

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
        f"heat {heat['mean']:.0f} ± {heat['sem']:.0f} kT, entropy production at most "
        f"{results['entropy']['total_bound']:.0f} k; nearest training image {near['median']:.3f}, that "
        f"of held-out images {near['held_out']:.3f}, copies {100 * near['copies']:.1f} %; "
        f"classifier {results['averaged']['classifier']}",
        highlight=False,
    )


def print_comparison(results: dict[str, Any]) -> None:
    """What `thermogen compare` found."""
    table = plain_table("generator", "class right, %", "Fréchet", "training, s", "energy, J", "s a sample")
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


def print_claims(results: dict[str, Any]) -> None:
    """What `thermogen claims` found: a row for each claim, the verdict last."""
    table = Table(pad_edge=False, header_style="bold", box=None, show_lines=True, leading=1)
    for column, ratio in (
        ("", 1),
        ("claim", 8),
        ("published", 6),
        ("ours, 95 % interval", 14),
        ("verdict", 6),
    ):
        table.add_column(column, overflow="fold", ratio=ratio)
    colours = {"holds": "green", "holds with a condition": "yellow", "does not hold": "red"}
    for row in results["claims"]:
        verdict = f"[{colours.get(row['verdict'], 'dim')}]{row['verdict']}[/]"
        cells = (escape(row[name]) for name in ("name", "published", "ours"))
        table.add_row(str(row["number"]), *cells, verdict)
    Console().print(table)


def print_ledger(results: dict[str, Any]) -> None:
    """What `thermogen ledger` found: lines with evidence and source, and the ratios as more is counted."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("energy of a sample", overflow="fold")
    for column in ("J", "kT"):
        table.add_column(column, justify="right")
    for column in ("evidence", "source"):
        table.add_column(column, overflow="fold")
    side = None
    for line in results["lines"]:
        if line["side"] != side:
            side = line["side"]
            table.add_row(f"[bold]{side}[/]")
        joules = "absent" if line["joules"] is None else f"{line['joules']:.2e}"
        kT = "" if line["kT"] is None else f"{line['kT']:.2e}"
        style = None if line["counted"] or side == "digital" else "dim"
        name = line["name"] if line["counted"] else f"({line['name']})"
        table.add_row(escape(name), joules, kT, line["evidence"], escape(line["source"]), style=style)
    console = Console()
    console.print(table)
    ratios = Table(box=None, pad_edge=False, header_style="bold")
    ratios.add_column("counted on the thermodynamic side")
    ratios.add_column("digital ÷ thermodynamic", justify="right")
    ratios.add_column("weakest evidence there")
    for name, value in results["ratios"].items():
        ratios.add_row(name, "-" if value is None else f"{value:.2g}", results["weakest"][name])
    console.print()
    console.print(ratios)
    console.print("lines in brackets: other ways, not counted", style="dim", highlight=False)


def print_platforms(known: dict[str, Any]) -> None:
    """Platforms with their elements, ranges and sources."""
    console = Console()
    for name, one in known.items():
        console.print(f"[bold]{name}[/bold]  {escape(one['title'])}", highlight=False)
        table = plain_table("  element", "value", "from", "to", "unit", "source")
        table.columns[-1].justify = "left"
        for part, element in one["elements"].items():
            numbers = (f"{element[key]:.4g}" for key in ("value", "low", "high"))
            table.add_row(f"  {part}", *numbers, element["unit"], escape(element["source"]))
        table.add_row("  largest swing", f"{one['swing']:.4g}", "", "", "", escape(one["swing_source"]))
        console.print(table)
        console.print()


def print_figures(found: dict[str, tuple[float, str]]) -> None:
    """Physical figures by name."""
    table = plain_table("", "value", "unit")
    table.columns[-1].justify = "left"
    for name, (value, unit) in found.items():
        table.add_row(name, f"{value:,.0f}" if not unit else f"{value:.4g}", unit)
    Console().print(table)


def print_agreement(results: dict[str, Any]) -> None:
    """Both engines beside each other: paths, averages, and the verdict."""
    table = plain_table("", "units", "reltol", "difference", "heat / kT", "metered / kT")
    rows = results.get("rows", [results])
    for row in rows:
        for kind, title in (("pathwise", "same noise"), ("deterministic", "no noise")):
            for run in row[kind]["runs"]:
                table.add_row(
                    title,
                    str(row["units"]),
                    f"{run['reltol']:.0e}",
                    f"{run['difference']:.1e}",
                    f"{run['heat_kT']:.3f}",
                    f"{run['metered_kT']:.3f}",
                )
    console = Console()
    console.print(table)
    console.print()
    if "averages" in results:
        found = results["averages"]
        table = plain_table(f"{found['units']} units, {found['paths']} paths", "n", "z rms", "z largest")
        for name, one in found["z"].items():
            table.add_row(name, str(one["n"]), f"{one['rms']:.2f}", f"{one['largest']:.2f}")
    else:
        table = plain_table("samples", "ngspice", "thermogen", "z")
        for name in ("heat_kT", "prototype_correlation"):
            if name in results:
                both = (
                    f"{one['mean']:.4g} ± {one['sem']:.2g} (n {one['n']})"
                    for one in (results[name][side] for side in ("ngspice", "thermogen"))
                )
                table.add_row(name, *both, f"{results[name]['z']:.2f}")
    console.print(table)
    verdict = "both engines agree" if results["agrees"] else "the engines do not agree within their bounds"
    console.print(f"\n{verdict}", highlight=False)


def print_card(card: dict[str, Any]) -> None:
    """A model card as a table."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    units = ", ".join(f"{n} {role}" for role, n in card["units"].items() if n)
    height, width = card["image_shape"]
    table.add_row("units", f"{units}; images of {height} x {width}")
    held = f"{card['couplers']:,} in {card['couplings']}"
    if card["couplers"] != card["couplers_full"]:
        held += f" (the full matrix: {card['couplers_full']:,})"
    table.add_row("couplings", held)
    control = card["control"]
    if control["segments"] > 1 or control["labels"]:
        classes = f", one set for each of {len(control['labels'])} classes" if control["labels"] else ""
        if "classes" in control:
            classes = f", {len(control['classes'])} conditions of {len(control['labels'])} classes"
        table.add_row("control", f"{control['segments']} segment(s) of time{classes}")
    table.add_row("protocol", ", ".join(f"{name} {value:g}" for name, value in card["schedule"].items()))
    data = card["data"]
    shown = ", ".join(map(str, data["labels"][:12])) + (" …" if len(data["labels"]) > 12 else "")
    table.add_row("data", f"{data['source']}, {data['prototypes']} images of classes {shown}")
    training = card["training"]
    names = ("trainer", "imprint", "cycles", "optimizer", "trajectories", "clusters", "modes", "kT",
             "amplitude", "seed")  # fmt: skip
    table.add_row("training", ", ".join(f"{name} {training[name]}" for name in names if name in training))
    if training.get("validation_loss"):
        table.add_row("validation loss", f"{training['validation_loss']['loss']:.4f}")
    for name, figure in card["figures"].items():
        error = "" if figure.get("sem") is None else f" ± {figure['sem']:.2g}"
        table.add_row(name, f"{figure['mean']:.4g}{error} (n {figure['n']})")
    table.add_row("versions", ", ".join(f"{name} {v}" for name, v in card["versions"].items()))
    table.add_row("weights", f"sha256 {card['weights']['sha256'][:16]}…, verified")
    Console().print(table)
