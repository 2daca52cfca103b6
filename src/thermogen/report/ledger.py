"""The ledger as a picture and as tables: joules of a sample by purpose, and the ratio as more is counted."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from thermogen.report.theme import LIGHT, Theme, as_png, new_figure

_WIDTH, _ROW = 7.2, 0.3


@as_png
def ledger_figure(energy: dict[str, Any], *, theme: Theme = LIGHT) -> Figure:
    """Energies on a logarithmic axis, a bar for each line, and below them the ratio digital : thermodynamic.

    energy: a `Ledger` as a dictionary. The figure shows counted lines and lines of the digital side, if they
    have a value. Hollow bars are modelled (a ratio: on the thermodynamic side), full ones simulated or
    measured.
    """
    lines = [line for line in energy["lines"] if line["counted"] or line["side"] == "digital"]
    lines = [line for line in lines if (line["joules"] or 0) > 0]
    ratios = [(name, value) for name, value in energy["ratios"].items() if value]
    rows = len(lines), len(ratios)
    height = _ROW * sum(rows) + 1.5
    # Margins in inches, so that a ledger of few lines looks like one of many.
    figure = new_figure(_WIDTH, height, left=0.41, right=0.9, top=1 - 0.08 / height, bottom=0.6 / height,
                        hspace=0.72 * 2 / (_ROW * sum(rows)))  # fmt: skip
    above, below = figure.subplots(2, 1, height_ratios=rows)
    _bars(above, [(line["name"], line["joules"]) for line in lines], "energy a sample / J",
          [theme.heat if line["side"] == "thermodynamic" else theme.force for line in lines],
          [line["evidence"] in ("simulated", "measured") for line in lines], theme)  # fmt: skip
    _bars(below, ratios, "digital denoiser ÷ thermodynamic, counting more and more",
          [theme.heat] * len(ratios),
          [energy["weakest"][name] != "modelled" for name, _ in ratios], theme)  # fmt: skip
    return figure


def ledger_markdown(energy: dict[str, Any]) -> str:
    """The ledger as tables: lines with source and evidence (in brackets: not counted); then the ratios."""
    table = ["| side | purpose | J | kT | evidence | source |", "|---|---|---|---|---|---|"]
    for line in energy["lines"]:
        name = line["name"] if line["counted"] else f"({line['name']})"
        error = "" if line["sem_kT"] is None else f" ± {line['sem_kT']:.2g}"
        absent = line["joules"] is None
        joules, kT = ("absent", "") if absent else (f"{line['joules']:.3g}", f"{line['kT']:.4g}{error}")
        source = line["source"].replace("|", r"\|")  # |J| is no border
        table.append(f"| {line['side']} | {name} | {joules} | {kT} | {line['evidence']} | {source} |")
    table += ["", "| counted on the thermodynamic side | digital ÷ thermodynamic | weakest evidence there |"]
    table.append("|---|---|---|")
    for name, value in energy["ratios"].items():
        shown = "-" if value is None else f"{value:.3g}"
        table.append(f"| {name} | {shown} | {energy['weakest'][name]} |")
    return "\n".join(table) + "\n"


def _bars(axes: Any, rows: Any, label: str, colours: list[str], full: list[bool], theme: Theme) -> None:
    names, values = [name for name, _ in rows], [value for _, value in rows]
    low, high = min(values) / 30, max(values) * 3
    axes.grid(axis="x", color=theme.hairline, lw=0.6)
    axes.set_axisbelow(True)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    for place, (value, colour, solid) in enumerate(zip(values, colours, full, strict=True)):
        axes.barh(place, value - low, left=low, height=0.62, color=colour if solid else theme.paper,
                  edgecolor=colour, lw=1.2)  # fmt: skip
        axes.annotate(_tex(value), (value, place), xytext=(4, 0), textcoords="offset points", va="center",
                      fontsize=10, color=theme.ink, annotation_clip=False,
                      bbox={"facecolor": theme.paper, "lw": 0, "pad": 0.8})  # fmt: skip
    axes.set_yticks(range(len(names)), names, fontsize=10.5)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlabel(label)


def _tex(value: float) -> str:
    """Two significant digits, as a power of ten where that is shorter."""
    if 0.01 <= value < 1e4:
        return f"{float(f'{value:.2g}'):,g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return rf"${mantissa} \times 10^{{{int(exponent)}}}$"
