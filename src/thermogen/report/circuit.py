"""The circuit report: the platform's numbers, images made by ngspice, agreement of both simulators."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from thermogen.errors import require
from thermogen.generation import Samples
from thermogen.hardware.spice.verify import Trace
from thermogen.report.films import gif_bytes, grid_png
from thermogen.report.page import picture, write_page
from thermogen.report.theme import LIGHT, Theme, as_png, new_figure

SHOWN = 50
"""Samples of each simulator in the plates: the first ones, without selection."""
COLUMNS = 10


@dataclass(frozen=True)
class CircuitRecord:
    """What the report shows. results: the content of results.json; tolerance: folder of a sweep, if any."""

    results: dict[str, Any]
    image_shape: tuple[int, int]
    ngspice: Samples
    thermogen: Samples
    trace: Trace
    tolerance: Path | None = None


@as_png
def trace_figure(
    trace: Trace, volt: float, second: float, units: tuple[str, str], *, theme: Theme = LIGHT
) -> Figure:
    """Paths of a few units: ngspice as lines, the library as dots, in physical units (variable, time)."""
    figure = new_figure(6.2, 3.4, left=0.12, right=0.97, top=0.9, bottom=0.16)
    axes = figure.subplots()
    scale, prefix = engineering(float(np.abs(trace.ngspice).max()) * volt)
    tick, short = engineering(float(trace.times[-1]) * second)
    colours = (theme.heat, theme.force, theme.muted)
    for number, (a, b) in enumerate(zip(trace.ngspice.T, trace.thermogen.T, strict=True)):
        style: dict[str, Any] = {"color": colours[number % 3], "alpha": 1.0 if number < 3 else 0.55}
        axes.plot(trace.times * second / tick, a * volt / scale, lw=1.2, **style)
        axes.plot(trace.marks * second / tick, b * volt / scale, "o", ms=3, mew=0, **style)
    axes.set_xlabel(f"time / {short}{units[1]}")
    axes.set_ylabel(f"unit / {prefix}{units[0]}")
    axes.margins(x=0.01)
    figure.legend(axes.lines[:2], ("ngspice", "thermogen"), ncols=2, loc="upper right",
                  bbox_to_anchor=(0.98, 1.0))  # fmt: skip
    return figure


def engineering(largest: float) -> tuple[float, str]:
    """Power of a thousand below a size, and its prefix: 9e-3 gives (1e-3, 'm')."""
    prefixes = {0: "", -1: "m", -2: "µ", -3: "n", -4: "p", -5: "f", -6: "a", 1: "k", 2: "M", 3: "G"}
    power = int(np.clip(np.floor(np.log10(largest) / 3), -6, 3)) if largest > 0 else 0
    return 1000.0**power, prefixes[power]


def write_circuit_report(folder: Path, record: CircuitRecord) -> Path:
    """Write figures/*.png and report.html, which needs nothing else, into `folder`; return the page."""
    shown, shape = min(SHOWN, len(record.ngspice)), record.image_shape
    samples = {"ngspice": record.ngspice, "thermogen": record.thermogen}
    plates = {
        name: grid_png(run.visible[:shown].astype(np.float32), shape, COLUMNS)
        for name, run in samples.items()
    }
    figures = record.results["figures"]
    scale, second = figures["scale"], figures["time of a sample"]["value"] / float(record.trace.times[-1])
    pictures = {"film": picture(gif_bytes(record.ngspice.film, shape))}
    if record.tolerance is not None:
        pictures["tolerance"] = picture(swept(record.tolerance).read_bytes())

    def charts(theme: Theme) -> dict[str, bytes]:
        units = scale["unit"], "s"
        return {"trace": trace_figure(record.trace, scale["value"], second, units, theme=theme)}

    values = {"shown": shown, "figure_rows": figure_rows(figures), **record.results}
    return write_page(folder, "circuit.html.jinja", charts, plates, pictures, values)


def swept(folder: Path) -> Path:
    """The figure of a sweep; InputError if the folder holds none."""
    path = folder / "sweep.png"
    require(
        path.is_file(), f"{folder} holds no sweep.png: make it with 'thermogen sweep MODEL --out {folder}'"
    )
    return path


def figure_rows(figures: dict[str, Any]) -> list[tuple[str, float, str]]:
    """Rows of the table of figures: name, value in a unit with a prefix, that unit."""
    rows = []
    for name, figure in figures.items():
        value, unit = figure["value"], figure["unit"]
        scale, prefix = 1.0, ""
        if unit and not name.startswith("couplers") and "/" not in unit and unit != "K":
            scale, prefix = engineering(abs(value))
        rows.append((name, value / scale, prefix + unit))
    return rows
