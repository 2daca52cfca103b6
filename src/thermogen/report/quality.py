"""Quality of generators: figures and a table in Markdown."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from thermogen.report.theme import LIGHT, Theme, as_png, new_figure

_WIDTH = 6.2
_GAP = 0.28  # between labels, in the logarithm of the distance: a line of text
_NAMES = {
    "thermodynamic": "Langevin computer, read at $t_f$",
    "matched": "the same, moments matched at $t_f$",
    "boltzmann": "Boltzmann machine",
}
_COSTS = ("training_seconds", "operations", "joules", "seconds_per_sample")


@as_png
def quality_energy_figure(results: dict[str, Any], *, theme: Theme = LIGHT) -> Figure:
    """Fréchet distance against energy of a sample: one point for each generator, standard errors as bars.

    results: the content of comparison.json. A line marks the distance of held-out digits.
    """
    # The raw read-out has the place of the averaged one.
    rows = [row for row in results["rows"] if not row["name"].endswith(", raw")]
    rows.sort(key=lambda row: row["quality"]["frechet"]["mean"])
    energies = [row["joules"] for row in rows]
    middle = (min(energies) * max(energies)) ** 0.5
    figure = new_figure(_WIDTH, 4.2, left=0.1, right=0.97, top=0.97, bottom=0.14)
    axes = figure.subplots()
    for row in rows:
        own, distance = row["name"].startswith("thermodynamic"), row["quality"]["frechet"]
        axes.errorbar(
            row["joules"], distance["mean"], yerr=distance["sem"], lw=1, ms=7 if own else 5,
            fmt="o" if row["evidence"].startswith("heat") else "s", color=theme.heat if own else theme.force,
        )  # fmt: skip
    line = {"arrowstyle": "-", "color": theme.muted, "lw": 0.5, "shrinkA": 1, "shrinkB": 4}
    for right in (False, True):
        group = [row for row in rows if (row["joules"] > middle) == right]
        heights = _apart([math.log(row["quality"]["frechet"]["mean"]) for row in group], _GAP)
        for row, height in zip(group, heights, strict=True):
            axes.annotate(
                row["name"].removesuffix(", averaged"), (row["joules"], row["quality"]["frechet"]["mean"]),
                xytext=(0.69 if right else 0.1, math.exp(height)), textcoords=("axes fraction", "data"),
                ha="right" if right else "left", va="center", fontsize=9, color=theme.ink,
                arrowprops={**line, "relpos": (float(right), 0.5)},
            )  # fmt: skip
    real = results["controls"]["real"]["frechet"]["mean"]
    axes.axhline(real, color=theme.muted, lw=0.8, ls="--")
    axes.annotate("held-out digits", (0.5, real), xycoords=("axes fraction", "data"), ha="center",
                  va="bottom", fontsize=9, color=theme.muted)  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(top=4 * max(row["quality"]["frechet"]["mean"] for row in rows))
    axes.set_xlabel("energy a sample / J  (circles: heat, simulated; squares: 1 pJ a multiply–add)")
    axes.set_ylabel("Fréchet distance")
    return figure


def _apart(places: list[float], gap: float) -> list[float]:
    """Rising places, moved until neighbours are `gap` apart; colliding places keep their mean."""
    groups: list[list[float]] = []
    for place in places:
        groups.append([place])
        while len(groups) > 1 and _first(groups[-1], gap) - _first(groups[-2], gap) < gap * len(groups[-2]):
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_first(group, gap) + gap * number for group in groups for number in range(len(group))]


def _first(group: list[float], gap: float) -> float:
    return sum(group) / len(group) - gap * (len(group) - 1) / 2


@as_png
def quality_time_figure(results: dict[str, Any], *, theme: Theme = LIGHT) -> Figure:
    """Class accuracy and Fréchet distance against the run time of the computer and a Boltzmann machine."""
    figure = new_figure(_WIDTH, 4.6, left=0.12, right=0.97, top=0.97, bottom=0.12, hspace=0.08)
    top, bottom = figure.subplots(2, 1, sharex=True)
    colours = {"thermodynamic": theme.heat, "matched": theme.other, "boltzmann": theme.force}
    for name, colour in colours.items():
        points = [point for point in results["in_time"].get(name, ()) if point["t"] > 0]
        if points:
            times = [point["t"] for point in points]
            style: dict[str, Any] = {"ms": 4, "lw": 1.2, "color": colour, "label": _NAMES[name]}
            top.plot(times, [100 * point["accuracy"] for point in points], "o-", **style)
            bottom.plot(times, [point["frechet"] for point in points], "o-", **style)
    for axes in (top, bottom):
        axes.axvline(results["settings"]["t_f"], color=theme.muted, lw=0.8, ls="--")
    top.set_ylim(0, 104)
    top.set_ylabel("class right / %")
    top.legend(loc="lower right")
    bottom.set_xscale("log")
    bottom.set_yscale("log")
    for axis in (bottom.xaxis, bottom.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
    bottom.set_ylabel("Fréchet distance")
    bottom.set_xlabel(r"time / $(\mu E_0)^{-1}$")
    return figure


def interval(share: dict[str, Any] | None) -> str:
    """'98.4 [97.8, 98.9]', in per cent."""
    if share is None:
        return "–"
    return f"{100 * share['mean']:.1f} [{100 * share['low']:.1f}, {100 * share['high']:.1f}]"


def comparison_markdown(results: dict[str, Any]) -> str:
    """The comparison as a table in Markdown, with the ceiling and the nulls."""
    head = (
        "generator", "n", "class right / %", "worst class / %", "Fréchet", "precision", "recall", "density",
        "coverage", "nearest", "diversity", "sharpness", "training / s", "multiply–adds", "energy / J",
        "s a sample",
    )  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    rows = [(row["name"], row["quality"], row) for row in results["rows"]]
    rows += [(name, quality, {}) for name, quality in results["controls"].items()]
    for name, quality, row in rows:
        accuracy, costs = quality.get("accuracy"), [row.get(key) for key in _COSTS]
        cells = [
            name,
            f"{quality['n']:,}",
            interval(accuracy),
            "–" if accuracy is None else f"{100 * min(accuracy['by_class'].values()):.1f}",
            f"{quality['frechet']['mean']:.1f} ± {quality['frechet']['sem']:.1f}",
            *(f"{quality[key]:.2f}" for key in ("precision", "recall", "density", "coverage")),
            f"{quality['nearest']['median']:.3f}",
            *(f"{quality[key]:.2f}" for key in ("diversity", "sharpness")),
            *("–" if cost is None else f"{cost:.2g}" for cost in costs),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
