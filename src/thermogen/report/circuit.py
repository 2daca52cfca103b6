"""The circuit report: the platform's numbers, images made by ngspice, agreement of both engines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thermogen.errors import require
from thermogen.generation import Samples
from thermogen.hardware.spice.verify import Trace
from thermogen.report.films import gif_bytes, grid_png
from thermogen.report.page import picture, render
from thermogen.report.theme import DARK, LIGHT, Theme, new_figure, to_png

SHOWN = 50
"""Samples of each engine in the plates: the first ones, none chosen."""
COLUMNS = 10


@dataclass(frozen=True)
class CircuitRecord:
    """What the report shows. results: the content of results.json; `tolerance`: folder of a sweep, if any."""

    results: dict[str, Any]
    image_shape: tuple[int, int]
    ngspice: Samples
    thermogen: Samples
    trace: Trace
    tolerance: Path | None = None


def trace_figure(trace: Trace, volt: float, second: float, units: tuple[str, str], *, theme: Theme) -> bytes:
    """Paths of a few units: ngspice as lines, our own engine as dots, in physical units (variable, time)."""
    with theme.typography():
        figure = new_figure(6.2, 3.4)
        axes = figure.subplots()
        figure.subplots_adjust(left=0.12, right=0.97, top=0.9, bottom=0.16)
        scale, prefix = engineering(float(np.abs(trace.ngspice).max()) * volt)
        tick, short = engineering(float(trace.times[-1]) * second)
        colours = (theme.heat, theme.force, theme.muted)
        for number, (a, b) in enumerate(zip(trace.ngspice.T, trace.thermogen.T, strict=True)):
            own = colours[number % len(colours)]
            fade = 1.0 if number < len(colours) else 0.55
            axes.plot(trace.times * second / tick, a * volt / scale, lw=1.2, color=own, alpha=fade,
                      label="ngspice" if number == 0 else None)  # fmt: skip
            axes.plot(trace.marks * second / tick, b * volt / scale, "o", ms=3, mew=0, color=own, alpha=fade,
                      label="thermogen" if number == 0 else None)  # fmt: skip
        axes.set_xlabel(f"time / {short}{units[1]}")
        axes.set_ylabel(f"unit / {prefix}{units[0]}")
        axes.margins(x=0.01)
        figure.legend(ncols=2, loc="upper right", bbox_to_anchor=(0.98, 1.0))
        return to_png(figure)


def engineering(largest: float) -> tuple[float, str]:
    """Power of a thousand below a size, and its prefix: 9e-3 gives (1e-3, 'm')."""
    prefixes = {0: "", -1: "m", -2: "µ", -3: "n", -4: "p", -5: "f", -6: "a", 1: "k", 2: "M", 3: "G"}
    power = int(np.clip(np.floor(np.log10(largest) / 3), -6, 3)) if largest > 0 else 0
    return 1000.0**power, prefixes[power]


def write_circuit_report(folder: Path, record: CircuitRecord) -> Path:
    """Write figures/*.png and report.html, which needs nothing else, into `folder`; return the page."""
    target = folder / "figures"
    target.mkdir(parents=True, exist_ok=True)
    shown = min(SHOWN, len(record.ngspice))
    plates = {
        "ngspice": grid_png(record.ngspice.visible[:shown].astype(np.float32), record.image_shape, COLUMNS),
        "thermogen": grid_png(
            record.thermogen.visible[:shown].astype(np.float32), record.image_shape, COLUMNS
        ),
    }
    figures = record.results["figures"]
    volt, second = (
        figures["scale"]["value"],
        figures["time of a sample"]["value"] / float(record.trace.times[-1]),
    )
    drawn = {
        theme: trace_figure(record.trace, volt, second, (figures["scale"]["unit"], "s"), theme=theme)
        for theme in (LIGHT, DARK)
    }
    for name, content in {**plates, "trace": drawn[LIGHT]}.items():
        (target / f"{name}.png").write_bytes(content)
    pictures = {name: picture(content) for name, content in plates.items()}
    pictures["trace"] = picture(drawn[LIGHT], drawn[DARK])
    pictures["film"] = picture(gif_bytes(record.ngspice.film, record.image_shape))
    if record.tolerance is not None:
        pictures["tolerance"] = picture(swept(record.tolerance).read_bytes())
    page = folder / "report.html"
    text = render(
        "circuit.html.jinja", pictures=pictures, shown=shown, pieces=pieces(figures), **record.results
    )
    page.write_text(text, encoding="utf-8")
    return page


def swept(folder: Path) -> Path:
    """The figure of a sweep; InputError if the folder holds none."""
    path = folder / "sweep.png"
    require(
        path.is_file(), f"{folder} holds no sweep.png: make it with 'thermogen sweep MODEL --out {folder}'"
    )
    return path


def pieces(figures: dict[str, Any]) -> list[tuple[str, float, str]]:
    """Rows of the table of figures: name, value in a unit with a prefix, that unit."""
    rows = []
    for name, one in figures.items():
        value, unit = one["value"], one["unit"]
        if unit and not name.startswith("couplers") and "/" not in unit and unit not in ("K",):
            scale, prefix = engineering(abs(value))
            rows.append((name, value / scale, prefix + unit))
        else:
            rows.append((name, value, unit))
    return rows
