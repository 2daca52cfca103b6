"""Colours and type of the figures, once for light pages and once for dark ones."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

DPI = 200
P = ParamSpec("P")


@dataclass(frozen=True)
class Theme:
    """Colours: text and axes, secondary text, hairlines, background, and three for data.

    `heat` marks this run, `force` its counterpart, `other` published figures.
    """

    ink: str
    muted: str
    hairline: str
    paper: str
    heat: str
    force: str
    other: str

    def typography(self) -> AbstractContextManager[Any]:
        """Fonts, lines and colours of a figure, in force while it is made and drawn."""
        ticks: dict[str, Any] = {"labelsize": 11, "color": self.muted, "labelcolor": self.ink}
        ticks |= {"major.width": 0.7, "major.size": 3.5}
        settings: dict[Any, Any] = {
            "font.family": "STIXGeneral",
            "mathtext.fontset": "stix",
            "font.size": 12,
            "axes.labelsize": 12,
            "axes.titlesize": 12,
            "text.color": self.ink,
            "axes.labelcolor": self.ink,
            "axes.edgecolor": self.muted,
            "axes.linewidth": 0.7,
            "axes.facecolor": "none",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.unicode_minus": True,
            "text.usetex": False,
            "figure.autolayout": False,
            "figure.constrained_layout.use": False,
            "figure.facecolor": self.paper,
            "legend.frameon": False,
            "legend.fontsize": 11,
            "savefig.dpi": DPI,
            **{f"{axis}tick.{name}": value for axis in "xy" for name, value in ticks.items()},
        }
        return matplotlib.rc_context(settings)


LIGHT = Theme("#1c2024", "#646b73", "#d9dce0", "#ffffff", "#c2410c", "#2563a8", "#646b73")
DARK = Theme("#e6e8ea", "#9aa2ab", "#33383e", "#131518", "#f08a4b", "#6aa9e9", "#9aa2ab")


def new_figure(width: float, height: float, **margins: float) -> Figure:
    """A figure of inches `width` x `height`, drawn by Agg without global state.

    margins: those of `subplots_adjust`, as shares of the figure.
    """
    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    figure.subplots_adjust(**margins)
    return figure


def as_png(draw: Callable[P, Figure]) -> Callable[P, bytes]:
    """A function that draws a figure, changed to return a PNG in the typography of its argument `theme`."""

    @wraps(draw)
    def drawn(*arguments: P.args, **options: P.kwargs) -> bytes:
        theme: Any = options.get("theme", LIGHT)
        with theme.typography():
            return to_png(draw(*arguments, **options))

    return drawn


def to_png(figure: Figure, **options: Any) -> bytes:
    """The figure as the bytes of a PNG file; `options` are those of `savefig`."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DPI, metadata={"Software": None}, **options)
    return stream.getvalue()
