"""The figures of a report: plain arrays in, the bytes of a PNG out. Nothing here reads or writes files."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from thermogen.report.films import film_grey, magnification, plate
from thermogen.report.theme import DPI, LIGHT, Theme, as_png, new_figure, to_png

_COLUMNS = 11  # frames of a film strip
_WIDTH = 6.2  # inches of a chart


def _ticks(count: int, **options: Any) -> MaxNLocator:
    return MaxNLocator(count, steps=[1, 2, 5, 10], **options)


def _label(form: str) -> Callable[[float, float | None], str]:
    """Tick labels of this format, with a true minus."""
    return lambda value, _: f"{value:{form}}".replace("-", "−")


@as_png
def strips(
    film: Float[np.ndarray, "frames m pixels"],
    times: Float[np.ndarray, " frames"],
    image_shape: tuple[int, int],
    rows: list[str],
    notes: list[str] | None = None,
    *,
    heading: str = "",
    theme: Theme = LIGHT,
) -> Figure:
    """Film strips: a row per image or sample, time from left to right on an axis in 1 / mu.

    film: states (frames, m, pixels) at `times`; at most eleven frames, evenly chosen with the first and the
    last, are shown. rows: a label at the left of each row. notes: text at the right, under `heading`.
    Each row has one grey scale for all times.
    """
    chosen = np.unique(np.linspace(0, len(film) - 1, min(_COLUMNS, len(film))).round().astype(int))
    levels, scale = film_grey(film)[chosen], max(1, magnification(image_shape) * 3 // 4)
    (frames, count, pixels), gap = levels.shape, 4
    sheet = plate(levels.swapaxes(0, 1).reshape(-1, pixels), image_shape, frames, scale=scale, gap=gap)
    # One sheet pixel is one figure pixel, so that the grey levels stay as they are.
    (height, width), (left, right, top, bottom) = sheet.shape, (64, 24 if notes is None else 120, 8, 104)
    top += 52 if heading else 0
    full_width, full_height = max(width + left + right, 420), height + top + bottom
    figure = new_figure(full_width / DPI, full_height / DPI)
    area = (left / full_width, bottom / full_height, width / full_width, height / full_height)
    axes = figure.add_axes(area)
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="auto")
    for spine in axes.spines.values():
        spine.set_visible(False)
    step = image_shape[1] * scale + gap
    middles = gap + image_shape[1] * scale / 2 + step * np.arange(frames)
    axes.set_xticks(middles, [f"{times[i]:.2f}" for i in chosen])
    centres = gap + image_shape[0] * scale / 2 + (image_shape[0] * scale + gap) * np.arange(count)
    axes.set_yticks(centres, rows)
    axes.tick_params(length=0, pad=5)
    axes.set_xlabel(r"time  $t$  ($1/\mu$)")
    for centre, note in zip(centres, notes or [], strict=False):
        axes.annotate(note, (width, centre), (12, 0), textcoords="offset points", va="center", size=11)
    if heading:
        axes.annotate(heading, (width, 0), (12, 6), textcoords="offset points", va="bottom",
                      color=theme.muted)  # fmt: skip
    return figure


@as_png
def loss_figure(
    loss: Float[np.ndarray, " cycles"],
    validation: Float[np.ndarray, "records 3"],
    noise_floor: float,
    *,
    theme: Theme = LIGHT,
) -> Figure:
    """Loss against cycle: of each cycle (faint), and on fixed paths with the standard error of its change.

    validation: rows (cycle, loss, standard error). noise_floor: N / 2, drawn as a line. The upper panel shows
    all cycles, the lower panel the range of the later ones.
    """
    figure = new_figure(_WIDTH, 4.4, left=0.14, right=0.97, top=0.91, bottom=0.13, hspace=0.16)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.25))
    cycle, value, error = np.nan_to_num(validation).T if len(validation) else np.zeros((3, 0))
    for axes in (upper, lower):
        axes.axhline(noise_floor, color=theme.muted, lw=1, dashes=(4, 3), label=r"noise floor $N/2$")
        axes.plot(1 + np.arange(len(loss)), loss, ".", ms=4.5, color=theme.ink, alpha=0.3, mew=0,
                  label="each cycle, its own path")  # fmt: skip
        axes.errorbar(cycle, value, error, fmt="o", ms=4.5, lw=1.2, elinewidth=1, capsize=2, mew=0,
                      color=theme.heat, label="fixed paths")  # fmt: skip
        axes.set_ylabel("loss")
        axes.yaxis.set_major_locator(_ticks(5))
    later = [*loss[len(loss) // 5 :], noise_floor]
    low = np.percentile([*later, *(value - error)[len(value) // 3 :]], 0.5)
    high = np.percentile([*later, *(value + error)[len(value) // 3 :]], 99.5)
    margin = 0.08 * max(high - low, 1e-3 * max(abs(noise_floor), 1))
    lower.set_ylim(low - margin, high + margin)
    lower.set_xlabel("training cycle")
    figure.align_ylabels()
    lower.xaxis.set_major_locator(_ticks(8, integer=True))
    span = max(len(loss), cycle.max(initial=0), 1)
    lower.set_xlim(-0.03 * span, 1.03 * span)
    handles = dict(zip(*upper.get_legend_handles_labels()[::-1], strict=True))
    figure.legend([handles[label] for label in sorted(handles)], sorted(handles), ncols=3, loc="upper center",
                  bbox_to_anchor=(0.55, 1.01), handletextpad=0.4, columnspacing=1.6)  # fmt: skip
    return figure


@as_png
def heat_figure(
    heat_kT: Float[np.ndarray, " n"],
    published: list[tuple[str, float, float | None]],
    *,
    theme: Theme = LIGHT,
) -> Figure:
    """Histogram of the heat per sample in kT; above it mean and standard deviation of this run and published.

    published: (name, mean, standard deviation or None) in kT.
    """
    std = float(heat_kT.std(ddof=1)) if len(heat_kT) > 1 else None
    entries = [*reversed(published), ("this run", float(heat_kT.mean()), std)]
    figure = new_figure(_WIDTH, 3.9, left=0.25, right=0.97, top=0.98, bottom=0.145, hspace=0.06)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2.1))
    for place, (name, mean, spread) in enumerate(entries):
        own = name == "this run"
        colour = theme.heat if own else theme.other
        if spread is not None:
            above.plot([mean - spread, mean + spread], [place] * 2, lw=7, alpha=0.3, color=colour,
                       solid_capstyle="butt")  # fmt: skip
            for edge in (mean - spread, mean + spread):
                below.axvline(edge, color=colour, lw=0.6, dashes=(2, 3))
        above.plot([mean], [place], "o", ms=5, color=colour)
        below.axvline(mean, color=colour, lw=1.1)
    above.set_yticks(range(len(entries)), [name for name, *_ in entries])
    above.set_ylim(-0.6, len(entries) - 0.4)
    above.tick_params(axis="both", length=0)
    above.tick_params(axis="x", labelbottom=False)
    above.spines[["left", "bottom"]].set_visible(False)
    bins = min(60, max(10, round(2 * len(heat_kT) ** 0.5)))
    below.hist(heat_kT, bins, color=theme.heat, alpha=0.55, lw=0)
    below.set_ylabel("samples")
    below.set_xlabel(r"heat released per sample, $Q/kT$")
    below.yaxis.set_major_locator(_ticks(4, integer=True))
    below.xaxis.set_major_locator(_ticks(7))
    below.xaxis.set_major_formatter(_label(",.0f"))
    return figure


@as_png
def correlation_figure(
    correlation: Float[np.ndarray, "n P"],
    noise: Float[np.ndarray, "m P"] | None = None,
    *,
    theme: Theme = LIGHT,
) -> Figure:
    """Histogram of each sample's correlation of largest size, with its sign: negative is an inverted image.

    correlation: of samples with prototypes (n, P). noise: the same for the initial states of generation,
    drawn as marks on the axis.
    """

    def strongest(table):
        return np.take_along_axis(table, np.abs(table).argmax(1)[:, None], 1)[:, 0]

    values, edges = strongest(correlation), np.linspace(-1, 1, 41).tolist()
    figure = new_figure(_WIDTH, 2.7, left=0.12, right=0.97, top=0.9, bottom=0.21)
    axes = figure.subplots()
    axes.hist(values[values >= 0], edges, color=theme.heat, alpha=0.6, lw=0)
    axes.hist(values[values < 0], edges, color=theme.force, alpha=0.6, lw=0)
    axes.set_xlim(-1, 1)
    axes.axvline(0, color=theme.muted, lw=0.7)
    if noise is not None:
        axes.plot(strongest(noise), np.zeros(len(noise)), "|", ms=13, mew=1.2, color=theme.ink, clip_on=False)
    for x, text in ((-0.5, "inverted"), (0.5, "as learnt")):
        colour = theme.force if x < 0 else theme.heat
        axes.text(x, 1.02, text, transform=axes.get_xaxis_transform(), ha="center", color=colour)
    axes.set_xlabel("correlation with the nearest prototype")
    axes.set_ylabel("samples")
    axes.yaxis.set_major_locator(_ticks(4, integer=True))
    axes.xaxis.set_major_formatter(_label("g"))
    return figure


@as_png
def connection_figure(
    fields: Float[np.ndarray, "fields pixels"], image_shape: tuple[int, int], *, theme: Theme = LIGHT
) -> Figure:
    """Couplings of hidden units to the visible ones (fields, pixels), on one symmetric colour scale in E0."""
    columns = min(8, len(fields))
    rows, scale, gap = ceil(len(fields) / columns), magnification(image_shape), 10
    height, width = (side * scale for side in image_shape)
    bound = float(np.percentile(np.abs(fields), 99.5)) or 1.0
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for number, field in enumerate(fields):
        top, left = (height + gap) * (number // columns), (width + gap) * (number % columns)
        picture = field.reshape(image_shape).repeat(scale, 0).repeat(scale, 1)
        sheet[top : top + height, left : left + width] = picture
    colours = LinearSegmentedColormap.from_list("fields", [theme.force, theme.paper, theme.heat])
    full_width, full_height = max(sheet.shape[1] + 40, 560), sheet.shape[0] + 150
    figure = new_figure(full_width / DPI, full_height / DPI)
    axes = figure.add_axes(
        ((full_width - sheet.shape[1]) / 2 / full_width, 130 / full_height,
         sheet.shape[1] / full_width, sheet.shape[0] / full_height)
    )  # fmt: skip
    shown = axes.imshow(sheet, cmap=colours, vmin=-bound, vmax=bound, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    bar_width = min(480, full_width - 80)
    bar = figure.add_axes(
        (
            (full_width - bar_width) / 2 / full_width,
            92 / full_height,
            bar_width / full_width,
            14 / full_height,
        )
    )
    colour_bar = figure.colorbar(shown, cax=bar, orientation="horizontal", ticks=[-bound, 0, bound])
    colour_bar.ax.set_xticklabels([f"−{bound:.2g}", "0", f"{bound:.2g}"])
    colour_bar.outline.set_linewidth(0.5)
    colour_bar.set_label(r"coupling $J_{ij}/E_0$", labelpad=1)
    return figure


@as_png
def ratio_figure(ratio: dict[str, Any], *, theme: Theme = LIGHT) -> Figure:
    """The path-probability ratio as the sum of heat part and force part: bars end to end, with errors.

    ratio: `path_ratio` of results.json: heat_part, force_part and total, each with mean and sem.
    """
    heat, force = (ratio[name]["mean"] for name in ("heat_part", "force_part"))
    rows = (
        ("heat part", "heat_part", 0.0, heat, theme.heat),
        ("+ force part", "force_part", heat, heat + force, theme.force),
        ("= total", "total", 0.0, ratio["total"]["mean"], theme.ink),
    )
    figure = new_figure(_WIDTH, 2.3, left=0.27, right=0.96, top=0.97, bottom=0.25)
    axes = figure.subplots()
    for place, (_, name, start, end, colour) in enumerate(rows):
        axes.barh(place, end - start, left=start, height=0.52, color=colour, alpha=0.6, lw=0)
        axes.errorbar(end, place, xerr=ratio[name]["sem"] or 0.0, fmt="none", color=theme.ink, lw=1.2,
                      capsize=3)  # fmt: skip
    axes.plot([heat, heat], [0.26, 0.74], color=theme.muted, lw=0.8)
    axes.plot([heat + force] * 2, [1.26, 1.74], color=theme.muted, lw=0.8)
    axes.axvline(0, color=theme.muted, lw=0.8)
    axes.set_yticks(range(3), [name for name, *_ in rows])
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(r"$\ln\,P_0[\omega]\,/\,\tilde P_\theta[\tilde\omega]$  (mean, standard error)")
    axes.xaxis.set_major_locator(_ticks(7))
    axes.xaxis.set_major_formatter(_label(",.6g"))
    return figure


def equation(tex: str, *, theme: Theme = LIGHT) -> bytes:
    """A TeX formula as a picture cropped to its ink, so that it looks the same in every browser."""
    with theme.typography():
        figure = new_figure(8, 1)
        figure.text(0, 0.5, f"${tex}$", size=13)
        return to_png(figure, bbox_inches="tight", pad_inches=0.02)
