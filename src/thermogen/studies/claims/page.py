"""The claims as a page of Markdown: an introduction, the table, and every figure behind each verdict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_HEAD = """# Published claims

This page tests each quantitative claim of *Generative thermodynamic computing* (S. Whitelam, PRL 136, 037101)
and of the papers that follow it. It states the published figure, the measured figure, and a verdict.

    thermogen claims --quick       # minutes: three seeds, five pairs, dt = 5e-3
    thermogen claims               # the setting of this page; continues after an interruption
    thermogen claims 12 --json     # one claim, for other programs

| verdict | meaning |
|---|---|
| holds | the measured figure, or the order of figures, is the published one |
| holds with a condition | it needs a condition that the publication does not name |
| does not hold | the measurement contradicts the claim |
| not testable here | the text states the reason |

Every verdict uses independent trainings. They are paired if two settings share their noise. Every run is a
JSON file with its settings.

`training.TrainingNoise` describes the errors of training hardware (claims 11 and 12), and
`couplings.quantised` the storage (claim 10). The publications do not state the scale of their images, the
full scale of stored couplings, or the unit of update noise. Each claim states the assumption.
"""


def markdown(content: dict[str, Any]) -> str:
    """The page, from the content of claims.json."""
    plan, versions = content["plan"], content["versions"]
    lines = [_HEAD, "## The table", "", "| | claim | published | measured, 95 % interval | verdict |"]
    lines.append("|---|---|---|---|---|")
    for row in content["claims"]:
        cells = (row["number"], row["name"], row["published"], row["ours"], f"**{row['verdict']}**")
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    lines += [
        "",
        f"The {'quick' if plan['quick'] else 'full'} setting: {plan['seeds']} independent seeds "
        f"({plan['pairs']} pairs), {plan['samples']} samples each, dt = {plan['dt']:g}; "
        f"{content['seconds'] / 60:.0f} minutes of work; thermogen {versions['thermogen']}, "
        f"jax {versions['jax']}. Intervals: Student-t over seeds; n counts seeds.",
        "",
        "## The figures",
    ]
    for row in content["claims"]:
        lines += ["", f"### {row['number']}. {row['name']}", "", f"*{row['source']}: {row['published']}.*"]
        lines += ["", f"**{row['verdict'].capitalize()}.** {row['words']}"]
        figures = [f"| {name} | {value} |" for name, value in _flat(row["figures"])]
        lines += ["", "| figure | value |", "|---|---|", *figures] if figures else []
    return "\n".join(lines) + "\n"


def _flat(figures: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Figures as (name, text): intervals in one line; long lists are left to claims.json."""
    if isinstance(figures, dict):
        if {"mean", "low", "high", "n"} <= figures.keys():
            numbers = f"{figures['mean']:.4g} [{figures['low']:.4g}, {figures['high']:.4g}]"
            yield name, f"{numbers} (n {figures['n']})"
            return
        for key, value in figures.items():
            yield from _flat(value, f"{name}, {key}".strip(", ").replace("_", " "))
    elif isinstance(figures, bool | str):
        yield name, str(figures)
    elif isinstance(figures, int | float):
        yield name, f"{figures:.4g}"
    elif (
        isinstance(figures, list) and len(figures) <= 12 and all(isinstance(v, int | float) for v in figures)
    ):
        yield name, ", ".join(f"{value:.3g}" for value in figures)
