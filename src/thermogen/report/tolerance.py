"""Sweeps of imperfections as small multiples and as tables: quality and heat against one imperfection."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log10
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from thermogen.report.theme import LIGHT, Theme, as_png, new_figure

_COLUMNS = 6
_HEIGHTS = {"quality": 0.92, "second": 0.6, "heat_ratio": 0.72}  # panels of a cell, in inches
_GAP, _TITLE, _AXIS = 0.12, 0.32, 0.62
_LEFT, _RIGHT, _BETWEEN, _TOP = 0.82, 0.12, 0.24, 0.4


@as_png
def tolerance_figure(sweeps: Sequence[dict[str, Any]], *, theme: Theme = LIGHT) -> Figure:
    """A cell for each sweep, worse to the right: quality, a second measure, and heat.

    sweeps: results of `studies.tolerance.sweep` for one kind of model. Heat is divided by that of the perfect
    device. Bands are 95 % intervals over devices. The dashed line is the perfect device. A triangle marks the
    value at which quality is 95 % of it.
    """
    columns = min(_COLUMNS, len(sweeps))
    rows = ceil(len(sweeps) / columns)
    cell = 1.5 if columns > 3 else 2.6
    tall = _TITLE + sum(_HEIGHTS.values()) + _GAP * (len(_HEIGHTS) - 1) + _AXIS
    width = _LEFT + columns * cell + (columns - 1) * _BETWEEN + _RIGHT
    height = _TOP + rows * tall - 0.14  # the last row needs no room below it
    limits = {kind: _limits(sweeps, kind) for kind in _HEIGHTS}
    figure = new_figure(width, height)
    for number, sweep in enumerate(sweeps):
        row, column = divmod(number, columns)
        left, y = _LEFT + column * (cell + _BETWEEN), height - _TOP - row * tall - _TITLE
        figure.text(left / width, (y + 0.09) / height, sweep["label"], size=12, color=theme.ink)
        names = {"quality": sweep["measure"], "second": _second(sweep), "heat_ratio": "heat ÷ perfect"}
        for kind, high in _HEIGHTS.items():
            y -= high
            axes = figure.add_axes((left / width, y / height, cell / width, high / height))
            _panel(axes, sweep, kind, limits[kind], theme)
            last = kind == "heat_ratio"
            axes.tick_params(axis="x", labelbottom=last, length=3 if last else 0)
            axes.tick_params(axis="y", labelleft=column == 0, length=3 if column == 0 else 0)
            if last and sweep["unit"]:
                unit = "$x$" if sweep["unit"] == "x" else sweep["unit"]
                unit = unit if _factor(sweep) == 1 else rf"$10^{{-3}}\,${unit}"
                axes.set_xlabel(unit, color=theme.muted, size=10.5, labelpad=1)
            if column == 0:
                axes.set_ylabel(names[kind], size=10.5)
                axes.yaxis.set_label_coords(-0.58 / cell, 0.5)
            y -= _GAP
    _key(figure, width, height, sweeps[0], theme)
    return figure


def _second(sweep: dict[str, Any]) -> str:
    """Name of the second measure."""
    return "Fréchet" if sweep["second"] == "frechet" else sweep["second"]


def _factor(sweep: dict[str, Any]) -> float:
    """Tick labels show small values in thousandths, to be short."""
    values = [row["value"] for row in sweep["rows"] if row["value"]]
    return 1000.0 if values and min(values) < 0.01 and sweep["unit"] in ("x", "$E_0$") else 1.0


def _limits(sweeps: Sequence[dict[str, Any]], kind: str) -> tuple[float, float]:
    """One scale for all cells, set by the means; intervals may exceed it."""
    rows = [row for sweep in sweeps for row in (sweep["perfect"], *sweep["rows"])]
    means = [row[kind]["mean"] for row in rows if row[kind]]
    low, high = min(means), max(means)
    if kind == "heat_ratio":
        return min(0.5, low / 1.4), max(2.0, high * 1.4)
    if kind == "second" and sweeps[0]["second"] == "frechet":
        return 0.0, 1.1 * high
    return min(0.0, low), max(1.0, high) * 1.06


def _panel(axes: Any, sweep: dict[str, Any], kind: str, limits: tuple[float, float], theme: Theme) -> None:
    colour = {"quality": theme.force, "second": theme.muted, "heat_ratio": theme.heat}[kind]
    drawn = [row for row in sweep["rows"] if row[kind]]
    x = np.array([row["value"] for row in drawn], float)
    mean, low, high = (np.array([row[kind][name] for row in drawn]) for name in ("mean", "low", "high"))
    perfect = sweep["perfect"][kind]["mean"]
    if kind == "heat_ratio":
        axes.set_yscale("log")
        low = np.maximum(low, limits[0] / 2)
        axes.yaxis.set_major_locator(FixedLocator(_decades(*limits)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(3 if kind == "quality" else 2, steps=[1, 2, 5, 10]))
    axes.set_ylim(*limits)
    axes.grid(axis="y", color=theme.hairline, lw=0.6)
    axes.set_axisbelow(True)
    axes.axhline(perfect, color=theme.ink, lw=0.8, dashes=(4, 3), alpha=0.7)
    axes.fill_between(x, low, high, color=colour, alpha=0.22, lw=0)
    axes.plot(x, mean, "o-", color=colour, lw=1.5, ms=4, mec=theme.paper, mew=0.7)
    _scale(
        axes, np.array([row["value"] for row in sweep["rows"]], float), sweep["more_is_worse"], _factor(sweep)
    )
    place = sweep["tolerated"]["quality"]["value"]
    if kind == "quality" and place is not None and min(axes.get_xlim()) < place < max(axes.get_xlim()):
        height = limits[0] + 0.06 * (limits[1] - limits[0])
        axes.plot([place] * 2, [height, 0.95 * perfect], color=theme.ink, lw=0.7, dashes=(1, 2), alpha=0.7)
        axes.plot([place], [height], "^", color=theme.ink, ms=5, mew=0)


def _decades(low: float, high: float) -> list[float]:
    """Ticks of a logarithmic axis: 1, 2, 5 while there is room, else powers of ten."""
    steps = (1.0, 2.0, 5.0) if high / low < 15 else (1.0,)
    powers = range(int(log10(low)) - 2, int(log10(high)) + 2)
    return [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]


def _scale(axes: Any, values: np.ndarray, more_is_worse: bool, factor: float) -> None:
    """Worse is to the right; the axis is logarithmic if the values span more than a decade."""
    if values.min() > 0 and values.max() > 10 * values.min():
        axes.set_xscale("log")
        room = (values.max() / values.min()) ** 0.07
        ends = values.min() / room, values.max() * room
    else:
        room = 0.07 * (values.max() - values.min() or abs(values.max()) or 1)
        ends = values.min() - room, values.max() + room
    axes.set_xlim(*(ends if more_is_worse else ends[::-1]))
    axes.xaxis.set_major_locator(FixedLocator(values.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{factor * value:g}"))
    axes.tick_params(axis="both", labelsize=9.5)


def _key(figure: Figure, width: float, height: float, sweep: dict[str, Any], theme: Theme) -> None:
    trainings = f", {sweep['models']} trainings" if sweep["models"] > 1 else ""
    y = (height - 0.22) / height
    text = f"{sweep['devices']} devices{trainings}, {sweep['count']} samples each"
    figure.text(_LEFT / width, y, text, color=theme.muted, size=10.5)
    if width > 7:
        signs = ("band: 95 % interval", "dashed: perfect device", r"$\blacktriangle$ 95 % of its quality",
                 r"worse $\rightarrow$")  # fmt: skip
        figure.text(1 - _RIGHT / width, y, r"$\qquad$".join(signs), color=theme.muted, size=10.5, ha="right")


# --- tables -----------------------------------------------------------------------------------------------


def tolerance_markdown(sweeps: Sequence[dict[str, Any]]) -> str:
    """A table of the tolerated imperfections, then a table with intervals for each sweep."""
    second, within = f"95 % of {_second(sweeps[0])} kept", "Fréchet within 1 / 0.95"
    lines = _head(
        "imperfection",
        f"95 % of {sweeps[0]['measure']} kept",
        within if sweeps[0]["second"] == "frechet" else second,
        "heat there, % of perfect",
    )
    for sweep in sweeps:
        limits = [limit_in_words(sweep, figure) for figure in ("quality", "second")]
        lines.append(
            f"| {_title(sweep)} (`{sweep['imperfection']}`) | {' | '.join(limits)} | {_heat_at(sweep)} |"
        )
    for sweep in sweeps:
        base = ", ".join(f"{name} = {value:g}" for name, value in sweep["base"].items())
        lines += ["", f"**{_title(sweep)}**" + (f", with {base}" if base else ""), ""]
        second, share = _second(sweep), "% of perfect"
        lines += _head(
            f"`{sweep['imperfection']}`", sweep["measure"], share, second, "heat, kT", share, "work, kT"
        )
        lines.append(_row("perfect", sweep["perfect"], sweep))
        lines += [_row(f"{row['value']:g}", row, sweep) for row in sweep["rows"]]
    return "\n".join(lines) + "\n"


def _head(*columns: str) -> list[str]:
    return [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]


def limit_in_words(sweep: dict[str, Any], figure: str = "quality") -> str:
    """The range that keeps 95 % of the quality, or of the second measure: 'up to 0.21'."""
    limit = sweep["tolerated"][figure]
    if limit["lost"] == "within":
        return f"{'up to' if sweep['more_is_worse'] else 'from'} {limit['value']:.2g}"
    if limit["lost"] == "never":
        return f"to {sweep['rows'][-1]['value']:g} and beyond"
    return f"not at {sweep['rows'][0]['value']:g}"


def _heat_at(sweep: dict[str, Any]) -> str:
    """Heat relative to the perfect device where quality falls to 95 %, else at the worst value."""
    value = sweep["tolerated"]["quality"]["value"]
    rows = [row for row in sweep["rows"] if row["heat_ratio"]]
    points = sorted((row["value"], row["heat_ratio"]["mean"]) for row in rows)
    if value is None:
        return f"{100 * rows[-1]['heat_ratio']['mean']:.0f}" if rows else "-"
    if sweep["more_is_worse"] and not sweep["base"]:
        points.insert(0, (0.0, 1.0))
    x, y = zip(*points, strict=True)
    return f"{100 * np.interp(value, x, y):.0f}"


def _row(name: str, row: dict[str, Any], sweep: dict[str, Any]) -> str:
    if row["diverged"]:
        name += f" ({row['diverged']} diverged)"
    formats = {"quality": (3, 1), "quality_share": (1, 100), "second": (3, 1), "heat_kT": (0, 1),
               "heat_ratio": (1, 100), "work_kT": (1, 1)}  # fmt: skip
    if sweep["second"] == "frechet":
        formats["second"] = (1, 1)
    cells = [with_interval(row[key], digits, factor) for key, (digits, factor) in formats.items()]
    return f"| {' | '.join((name, *cells))} |"


def with_interval(figure: dict[str, Any] | None, digits: int, factor: float = 1.0) -> str:
    """'1,277 [1,233, 1,321]'; the mean alone if the ends round to it."""
    if figure is None:
        return "-"
    ends = (f"{factor * figure[name]:,.{digits}f}" for name in ("mean", "low", "high"))
    # A rounded 0 has no sign.
    mean, low, high = (end.replace("-", "−" if float(end.replace(",", "")) else "") for end in ends)
    return mean if low == high else f"{mean} [{low}, {high}]"


def plain(text: str) -> str:
    """A label or unit without TeX."""
    for tex, words in (("$J_2$", "J2"), ("$J_4$", "J4"), ("$E_0$", "E0"), (r"$1/\mu E_0$", "1/(µE0)")):
        text = text.replace(tex, words)
    return text


def _title(sweep: dict[str, Any]) -> str:
    label = plain(sweep["label"])
    return label[:1].upper() + label[1:] + (f", {plain(sweep['unit'])}" if sweep["unit"] else "")
