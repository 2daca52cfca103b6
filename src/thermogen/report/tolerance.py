"""Sweeps of imperfections as small multiples and as tables: quality and heat of devices that get worse."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log10
from typing import Any

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from thermogen.report.theme import LIGHT, Theme, new_figure, to_png

_COLUMNS = 6
_KINDS = ("quality", "second", "heat_ratio")
_HEIGHTS = {"quality": 0.92, "second": 0.6, "heat_ratio": 0.72}  # inches of the panels of a cell
_GAP, _TITLE, _AXIS = 0.12, 0.32, 0.62
_LEFT, _RIGHT, _BETWEEN, _TOP = 0.82, 0.12, 0.24, 0.4
_NAMES = {"frechet": "Fréchet", "balance": "balance", "heat_ratio": "heat ÷ perfect"}


def tolerance_figure(sweeps: Sequence[dict[str, Any]], *, theme: Theme = LIGHT) -> bytes:
    """A cell for each sweep, worse to the right: quality, the second measure, and heat.

    sweeps: what `studies.tolerance.sweep` returned, of one kind of model. Heat is divided by that of the
    perfect device. Bands are 95 % intervals over devices, the dashed line is the perfect device. A triangle
    stands where quality has fallen to 95 % of it.
    """
    columns = min(_COLUMNS, len(sweeps))
    rows = ceil(len(sweeps) / columns)
    cell = 1.5 if columns > 3 else 2.6
    tall = _TITLE + sum(_HEIGHTS.values()) + _GAP * (len(_KINDS) - 1) + _AXIS
    width = _LEFT + columns * cell + (columns - 1) * _BETWEEN + _RIGHT
    height = _TOP + rows * tall - 0.14  # the last row needs no room below it
    limits = {kind: _limits(sweeps, kind) for kind in _KINDS}
    with theme.typography():
        figure = new_figure(width, height)
        for number, one in enumerate(sweeps):
            row, column = divmod(number, columns)
            left, y = _LEFT + column * (cell + _BETWEEN), height - _TOP - row * tall - _TITLE
            figure.text(left / width, (y + 0.09) / height, one["label"], size=12, color=theme.ink)
            for kind in _KINDS:
                y -= _HEIGHTS[kind]
                area = (left / width, y / height, cell / width, _HEIGHTS[kind] / height)
                axes = figure.add_axes(area)
                _panel(axes, one, kind, limits[kind], theme)
                last = kind == _KINDS[-1]
                axes.tick_params(axis="x", labelbottom=last, length=3 if last else 0)
                axes.tick_params(axis="y", labelleft=column == 0, length=3 if column == 0 else 0)
                if last and one["unit"]:
                    axes.set_xlabel(_unit(one), color=theme.muted, size=10.5, labelpad=1)
                if column == 0:
                    name = one["measure" if kind == "quality" else "second"] if kind != "heat_ratio" else kind
                    axes.set_ylabel(_NAMES.get(name) or name, size=10.5)
                    axes.yaxis.set_label_coords(-0.58 / cell, 0.5)
                y -= _GAP
        _key(figure, width, height, sweeps[0], theme)
        return to_png(figure)


def _unit(one: dict[str, Any]) -> str:
    unit = "$x$" if one["unit"] == "x" else one["unit"]
    return unit if _times(one) == 1 else rf"$10^{{-3}}\,${unit}"


def _times(one: dict[str, Any]) -> float:
    """Small values are told in thousandths, so that their labels stay short."""
    values = [row["value"] for row in one["rows"] if row["value"]]
    return 1000.0 if values and min(values) < 0.01 and one["unit"] in ("x", "$E_0$") else 1.0


def _limits(sweeps: Sequence[dict[str, Any]], kind: str) -> tuple[float, float]:
    """One scale for all cells: what is shown of intervals is cut where they would hide the means."""
    means = [row[kind]["mean"] for one in sweeps for row in one["rows"] if row[kind]]
    means += [one["perfect"][kind]["mean"] for one in sweeps if one["perfect"][kind]]
    low, high = min(means), max(means)
    if kind == "heat_ratio":
        return min(0.5, low / 1.4), max(2.0, high * 1.4)
    if kind == "second" and sweeps[0]["second"] == "frechet":
        return 0.0, 1.1 * high
    return min(0.0, low), max(1.0, high) * 1.06


def _panel(axes: Any, one: dict[str, Any], kind: str, limits: tuple[float, float], theme: Theme) -> None:
    colour = {"quality": theme.force, "second": theme.muted, "heat_ratio": theme.heat}[kind]
    shown = [row for row in one["rows"] if row[kind]]
    x = np.array([row["value"] for row in shown], float)
    mean, low, high = (np.array([row[kind][name] for row in shown]) for name in ("mean", "low", "high"))
    perfect = one["perfect"][kind]["mean"]
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
    axes.plot(x, mean, "-", color=colour, lw=1.5)
    axes.plot(x, mean, "o", color=colour, ms=4, mec=theme.paper, mew=0.7)
    _scale(axes, np.array([row["value"] for row in one["rows"]], float), one["more_is_worse"], _times(one))
    place = one["tolerated"]["quality"]["value"]
    if kind == "quality" and place is not None and min(axes.get_xlim()) < place < max(axes.get_xlim()):
        height = limits[0] + 0.06 * (limits[1] - limits[0])
        axes.plot([place] * 2, [height, 0.95 * perfect], color=theme.ink, lw=0.7, dashes=(1, 2), alpha=0.7)
        axes.plot([place], [height], "^", color=theme.ink, ms=5, mew=0)


def _decades(low: float, high: float) -> list[float]:
    """Ticks of a logarithmic axis: 1, 2, 5 while there is room, else powers of ten."""
    steps = (1.0, 2.0, 5.0) if high / low < 15 else (1.0,)
    powers = range(int(log10(low)) - 2, int(log10(high)) + 2)
    return [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]


def _scale(axes: Any, values: np.ndarray, more_is_worse: bool, times: float) -> None:
    """Worse is to the right; a logarithmic axis where values span more than a decade."""
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
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{times * value:g}"))
    axes.tick_params(axis="both", labelsize=9.5)


def _key(figure: Any, width: float, height: float, one: dict[str, Any], theme: Theme) -> None:
    several = f", {one['models']} trainings" if one["models"] > 1 else ""
    y = (height - 0.22) / height
    words = f"{one['devices']} devices{several}, {one['count']} samples each"
    figure.text(_LEFT / width, y, words, color=theme.muted, size=10.5)
    if width > 7:
        signs = (
            "band: 95 % interval",
            "dashed: perfect device",
            r"$\blacktriangle$ 95 % of its quality",
            r"worse $\rightarrow$",
        )
        figure.text(1 - _RIGHT / width, y, r"$\qquad$".join(signs), color=theme.muted, size=10.5, ha="right")


# --- tables -----------------------------------------------------------------------------------------------


def tolerance_markdown(sweeps: Sequence[dict[str, Any]]) -> str:
    """How much of each imperfection is tolerated, then every sweep as a table, with intervals."""
    lines = _overview(sweeps)
    for one in sweeps:
        base = ", ".join(f"{name} = {value:g}" for name, value in one["base"].items())
        lines += ["", f"**{_title(one)}**" + (f", with {base}" if base else ""), ""]
        second = _NAMES.get(one["second"]) or one["second"]
        heads = [
            f"`{one['imperfection']}`",
            one["measure"],
            "% of perfect",
            second,
            "heat, kT",
            "% of perfect",
            "work, kT",
        ]
        lines += [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
        lines += [_row("perfect", one["perfect"], one)]
        lines += [_row(f"{row['value']:g}", row, one) for row in one["rows"]]
    return "\n".join(lines) + "\n"


def _overview(sweeps: Sequence[dict[str, Any]]) -> list[str]:
    one = sweeps[0]
    second = _NAMES.get(one["second"]) or one["second"]
    heads = [
        "imperfection",
        f"95 % of {one['measure']} kept",
        f"95 % of {second} kept",
        "heat there, % of perfect",
    ]
    if one["second"] == "frechet":
        heads[2] = "Fréchet within 1 / 0.95"
    table = [f"| {' | '.join(heads)} |", "|---|---|---|---|"]
    for one in sweeps:
        limits = [limit_in_words(one, figure) for figure in ("quality", "second")]
        table.append(f"| {_title(one)} (`{one['imperfection']}`) | {' | '.join(limits)} | {_heat_at(one)} |")
    return table


def limit_in_words(one: dict[str, Any], figure: str = "quality") -> str:
    """How far a sweep keeps 95 % of quality, or of the second measure: 'up to 0.21'."""
    found = one["tolerated"][figure]
    if found["lost"] == "within":
        return f"{'up to' if one['more_is_worse'] else 'from'} {found['value']:.2g}"
    if found["lost"] == "never":
        return f"to {one['rows'][-1]['value']:g} and beyond"
    return f"not at {one['rows'][0]['value']:g}"


def _heat_at(one: dict[str, Any]) -> str:
    """Heat relative to the perfect device where quality falls to 95 %, else at the worst value."""
    value = one["tolerated"]["quality"]["value"]
    rows = [row for row in one["rows"] if row["heat_ratio"]]
    points = sorted((row["value"], row["heat_ratio"]["mean"]) for row in rows)
    if value is None:
        return f"{100 * rows[-1]['heat_ratio']['mean']:.0f}" if rows else "-"
    if one["more_is_worse"] and not one["base"]:
        points.insert(0, (0.0, 1.0))
    x, y = zip(*points, strict=True)
    return f"{100 * np.interp(value, x, y):.0f}"


def _row(name: str, found: dict[str, Any], one: dict[str, Any]) -> str:
    if found["diverged"]:
        name += f" ({found['diverged']} diverged)"
    cells = [
        name,
        with_interval(found["quality"], 3),
        with_interval(found["quality_share"], 1, 100),
        with_interval(found["second"], 1 if one["second"] == "frechet" else 3),
        with_interval(found["heat_kT"], 0),
        with_interval(found["heat_ratio"], 1, 100),
        with_interval(found["work_kT"], 1),
    ]
    return f"| {' | '.join(cells)} |"


def with_interval(figure: dict[str, Any] | None, digits: int, times: float = 1.0) -> str:
    """'1,277 [1,233, 1,321]', one number where the ends round to the mean."""
    if figure is None:
        return "-"
    ends = (f"{times * figure[name]:,.{digits}f}" for name in ("mean", "low", "high"))
    # A rounded 0 has no sign.
    mean, low, high = (end.replace("-", "−" if float(end.replace(",", "")) else "") for end in ends)
    return mean if low == high else f"{mean} [{low}, {high}]"


def plain(text: str) -> str:
    """A label or unit without the mathematics of figures."""
    for tex, words in (("$J_2$", "J2"), ("$J_4$", "J4"), ("$E_0$", "E0"), (r"$1/\mu E_0$", "1/(µE0)")):
        text = text.replace(tex, words)
    return text


def _title(one: dict[str, Any]) -> str:
    label = plain(one["label"])
    return label[:1].upper() + label[1:] + (f", {plain(one['unit'])}" if one["unit"] else "")
