"""Results as tables for a person."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def percent(share: dict[str, Any] | None) -> str:
    """'98.4 % [97.8, 98.9]'."""
    if share is None:
        return "-"
    return f"{100 * share['mean']:.1f} % [{100 * share['low']:.1f}, {100 * share['high']:.1f}]"


def plain_table(*columns: str, rows: Iterable[Iterable[str]] = (), left: tuple[int, ...] = (0,)) -> Table:
    """A table without lines. Columns of the numbers `left` are aligned to the left, others to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", justify="left" if number in left else "right")
    for row in rows:
        table.add_row(*row)
    return table


_MEASURES = ("precision", "recall", "density", "coverage", "entropy", "diversity", "sharpness")


def print_quality(results: dict[str, Any]) -> None:
    """Results of `thermogen evaluate`: one column for each read-out, null and ceiling."""
    columns = {name: results[name] for name in ("raw", "averaged")} | results["controls"]
    console = Console()
    cells = {"n": lambda quality: str(quality["n"])}
    if "accuracy" in results["raw"]:
        for name, end in (("class right, %", "mean"), ("  from", "low"), ("  to (95 %)", "high")):
            cells[name] = lambda quality, end=end: f"{100 * quality['accuracy'][end]:.2f}"
    cells |= {
        "Fréchet": lambda quality: f"{quality['frechet']['mean']:.1f}",
        "  ±": lambda quality: f"{quality['frechet']['sem']:.1f}",
        **{name: lambda quality, name=name: f"{quality[name]:.3f}" for name in _MEASURES},
        "nearest training": lambda quality: f"{quality['nearest']['median']:.3f}",
        "copies, %": lambda quality: f"{100 * quality['nearest']['copies']:.2f}",
    }
    rows = [(name, *map(cell, columns.values())) for name, cell in cells.items()]
    console.print(plain_table("", *columns, rows=rows))
    by_class = results["averaged"].get("accuracy", {}).get("by_class", {})
    if by_class:
        shares = ", ".join(f"{label}: {100 * share:.1f}" for label, share in by_class.items())
        console.print(f"class right, averaged read-out, %: {shares}", highlight=False)
    if "unconditional" in results:
        free = results["unconditional"]
        counts = ", ".join(f"{label}: {n}" for label, n in free["classes"].items())
        console.print(f"without a requested class: entropy {free['entropy']:.3f} ({counts})", highlight=False)
    heat, near = results["heat_kT"], results["averaged"]["nearest"]
    console.print(
        f"heat {heat['mean']:.0f} ± {heat['sem']:.0f} kT, entropy production at most "
        f"{results['entropy']['total_bound']:.0f} k; nearest training image {near['median']:.3f}, that "
        f"of held-out images {near['held_out']:.3f}, copies {100 * near['copies']:.1f} %; "
        f"classifier {results['averaged']['classifier']}",
        highlight=False,
    )


def print_comparison(results: dict[str, Any]) -> None:
    """Results of `thermogen compare`."""
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
    """Results of `thermogen claims`: a row for each claim, the verdict last."""
    table = Table(pad_edge=False, header_style="bold", box=None, show_lines=True, leading=1)
    columns = {"": 1, "claim": 8, "published": 6, "ours, 95 % interval": 14, "verdict": 6}
    for column, ratio in columns.items():
        table.add_column(column, overflow="fold", ratio=ratio)
    colours = {"holds": "green", "holds with a condition": "yellow", "does not hold": "red"}
    for row in results["claims"]:
        verdict = f"[{colours.get(row['verdict'], 'dim')}]{row['verdict']}[/]"
        cells = (escape(row[name]) for name in ("name", "published", "ours"))
        table.add_row(str(row["number"]), *cells, verdict)
    Console().print(table)


def print_ledger(results: dict[str, Any]) -> None:
    """Results of `thermogen ledger`: lines with evidence and source, and the ratios as more is counted."""
    table = plain_table("energy of a sample", "J", "kT", "evidence", "source", left=(0, 3, 4))
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
    heads = ("counted on the thermodynamic side", "digital ÷ thermodynamic", "weakest evidence there")
    ratios = [
        (name, "-" if value is None else f"{value:.2g}", results["weakest"][name])
        for name, value in results["ratios"].items()
    ]
    console.print()
    console.print(plain_table(*heads, rows=ratios, left=(0, 2)))
    console.print("lines in brackets: alternatives, not counted", style="dim", highlight=False)


def print_platforms(platforms: dict[str, Any]) -> None:
    """Platforms with their elements, ranges and sources."""
    console = Console()
    for name, platform in platforms.items():
        console.print(f"[bold]{name}[/bold]  {escape(platform['title'])}", highlight=False)
        table = plain_table("  element", "value", "from", "to", "unit", "source", left=(0, 5))
        for title, element in platform["elements"].items():
            numbers = (f"{element[key]:.4g}" for key in ("value", "low", "high"))
            table.add_row(f"  {title}", *numbers, element["unit"], escape(element["source"]))
        swing, source = f"{platform['swing']:.4g}", escape(platform["swing_source"])
        table.add_row("  largest swing", swing, "", "", "", source)
        console.print(table)
        console.print()


def print_figures(figures: dict[str, dict[str, Any]]) -> None:
    """Physical figures by name: value and unit."""
    rows = [
        (name, f"{figure['value']:.4g}" if figure["unit"] else f"{figure['value']:,.0f}", figure["unit"])
        for name, figure in figures.items()
    ]
    Console().print(plain_table("", "value", "unit", rows=rows, left=(0, 2)))


def print_agreement(results: dict[str, Any]) -> None:
    """Comparison of both simulators: paths, averages, and the verdict."""
    console = Console()
    rows = [
        (title, str(row["units"]), f"{run['reltol']:.0e}", f"{run['difference']:.1e}",
         f"{run['heat_kT']:.3f}", f"{run['metered_kT']:.3f}")
        for row in results.get("rows", [results])
        for kind, title in (("pathwise", "same noise"), ("deterministic", "no noise"))
        for run in row[kind]["runs"]
    ]  # fmt: skip
    heads = ("", "units", "reltol", "difference", "heat / kT", "metered / kT")
    console.print(plain_table(*heads, rows=rows))
    console.print()
    if "averages" in results:
        averages = results["averages"]
        title = f"{averages['units']} units, {averages['paths']} paths"
        heads = (title, "n", "z rms", "z largest")
        rows = [
            (name, str(z["n"]), f"{z['rms']:.2f}", f"{z['largest']:.2f}") for name, z in averages["z"].items()
        ]
    else:
        heads = ("samples", "ngspice", "thermogen", "z")
        compared = {name: results[name] for name in ("heat_kT", "prototype_correlation") if name in results}
        rows = [
            (name, *(f"{mean['mean']:.4g} ± {mean['sem']:.2g} (n {mean['n']})"
                     for mean in (figure["ngspice"], figure["thermogen"])), f"{figure['z']:.2f}")
            for name, figure in compared.items()
        ]  # fmt: skip
    console.print(plain_table(*heads, rows=rows))
    verdict = (
        "both simulators agree" if results["agrees"] else "the simulators do not agree within their bounds"
    )
    console.print(f"\n{verdict}", highlight=False)


def print_card(card: dict[str, Any]) -> None:
    """A model card as a table."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    units = ", ".join(f"{n} {role}" for role, n in card["units"].items() if n)
    height, width = card["image_shape"]
    table.add_row("units", f"{units}; images of {height} x {width}")
    couplings = f"{card['couplers']:,} in {card['couplings']}"
    if card["couplers"] != card["couplers_full"]:
        couplings += f" (the full matrix: {card['couplers_full']:,})"
    table.add_row("couplings", couplings)
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
