"""Quality of generators: figures and a table in Markdown."""

from __future__ import annotations

from typing import Any

from thermogen.report.theme import LIGHT, Theme, new_figure, to_png

_WIDTH = 6.2
_NAMES = {"thermodynamic": "Langevin computer, ready at $t_f$", "boltzmann": "Boltzmann machine"}


def quality_energy_figure(results: dict[str, Any], *, theme: Theme = LIGHT) -> bytes:
    """Fréchet distance against energy a sample: every generator a point, standard errors as bars.

    results: the content of comparison.json. The level of held-out digits is a line.
    """
    with theme.typography():
        figure = new_figure(_WIDTH, 4.2)
        axes = figure.subplots()
        figure.subplots_adjust(left=0.12, right=0.97, top=0.97, bottom=0.14)
        energies = [row["joules"] for row in results["rows"]]
        middle = (min(energies) * max(energies)) ** 0.5
        for row in results["rows"]:
            own = row["name"].startswith("thermodynamic")
            if own and not row["name"].endswith("averaged"):
                continue  # the raw read-out lies on the same point
            distance, left = row["quality"]["frechet"], row["joules"] > middle
            axes.errorbar(
                row["joules"],
                distance["mean"],
                yerr=distance["sem"],
                fmt="o" if own else "s",
                ms=7 if own else 5,
                color=theme.heat if own else theme.force,
                lw=1,
            )
            axes.annotate(
                row["name"].removesuffix(", averaged"),
                (row["joules"], distance["mean"]),
                xytext=(-8 if left else 8, 0),
                textcoords="offset points",
                ha="right" if left else "left",
                va="center",
                fontsize=9,
                color=theme.ink,
            )
        real = results["controls"]["real"]["frechet"]["mean"]
        axes.axhline(real, color=theme.muted, lw=0.8, ls="--")
        axes.annotate("held-out digits", (0.5, real), xycoords=("axes fraction", "data"), ha="center",
                      va="bottom", fontsize=9, color=theme.muted)  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("energy a sample / J  (circles: heat, simulated; squares: 1 pJ a multiply–add)")
        axes.set_ylabel("Fréchet distance")
        return to_png(figure)


def quality_time_figure(results: dict[str, Any], *, theme: Theme = LIGHT) -> bytes:
    """Class accuracy against the time allowed, of the computer and of the Boltzmann machine if it was run."""
    with theme.typography():
        figure = new_figure(_WIDTH, 3.2)
        axes = figure.subplots()
        figure.subplots_adjust(left=0.12, right=0.97, top=0.95, bottom=0.18)
        for (name, curve), colour in zip(results["in_time"].items(), (theme.heat, theme.force), strict=False):
            points = [point for point in curve if point["t"] > 0]
            axes.plot(
                [point["t"] for point in points],
                [100 * point["accuracy"] for point in points],
                "o-",
                ms=4,
                lw=1.2,
                color=colour,
                label=_NAMES.get(name, name),
            )
        axes.axvline(results["settings"]["t_f"], color=theme.muted, lw=0.8, ls="--")
        axes.set_xscale("log")
        axes.set_ylim(0, 102)
        axes.set_xlabel(r"time allowed / $(\mu E_0)^{-1}$")
        axes.set_ylabel("class right / %")
        axes.legend(loc="lower right")
        return to_png(figure)


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
    rows += [(name, found, None) for name, found in results["controls"].items()]
    for name, found, row in rows:
        accuracy = found.get("accuracy")
        worst = "–" if accuracy is None else f"{100 * min(accuracy['by_class'].values()):.1f}"
        cells = [name, f"{found['n']:,}", interval(accuracy), worst]
        cells.append(f"{found['frechet']['mean']:.1f} ± {found['frechet']['sem']:.1f}")
        cells += [f"{found[key]:.2f}" for key in ("precision", "recall", "density", "coverage")]
        cells += [
            f"{found['nearest']['median']:.3f}",
            f"{found['diversity']:.2f}",
            f"{found['sharpness']:.2f}",
        ]
        costs = ("training_seconds", "operations", "joules", "seconds_per_sample")
        cells += ["–" if row is None or row[key] is None else f"{row[key]:.2g}" for key in costs]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
