"""The report of a run: figures as PNG, the film as GIF, and one page of HTML with all of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from thermogen.quality import prototype_scores
from thermogen.report import figures
from thermogen.report.films import SHOWN, gif_bytes, grid_png, nearest_png
from thermogen.report.ledger import ledger_figure
from thermogen.report.record import RunRecord
from thermogen.report.theme import DARK, LIGHT, Theme
from thermogen.report.wording import FILTERS

GRID = 100
"""Generated images shown in the grid: the first ones, without selection."""
PUBLISHED_SETTINGS = {
    "topology": "published", "hidden": 512, "imprint": "tile", "amplitude": 2.0, "trainer": "batch",
    "optimizer": "sgd", "trajectories": 1, "train_visible_biases": False, "kT": 0.1, "t_f": 2.5, "dt": 1e-3,
    "ramp_fraction": 0.75, "readout": 0.0, "segments": 1, "compress": None, "integrator": "euler",
}  # fmt: skip
"""The setting of PRL 136, 037101 and its program; the page lists what differs from it."""
EQUATIONS = {
    "motion": (
        r"\mathrm{d}x_i = -\mu\,\partial_i V_\theta\,\mathrm{d}t + \sqrt{2\mu kT}\;\mathrm{d}W_i\,,"
        r"\qquad V_\theta = \sum_i\,(J_2x_i^2 + J_4x_i^4 + b_ix_i) + \sum_{i<j}\,J_{ij}\,x_ix_j"
    ),
    "identity": (
        r"\ln\,\dfrac{P_0[\omega]}{\tilde P_\theta[\tilde\omega]} = H + F,\qquad"
        r"H = -\dfrac{1}{2kT}\sum_k\,\mathrm{d}x_k\cdot(g^+_k + g^-_k),\qquad"
        r"F = \dfrac{\mu\,\mathrm{d}t}{4kT}\sum_k\,(|g^+_k|^2 - |g^-_k|^2)"
    ),
}


@dataclass(frozen=True)
class Picture:
    """An image on the page: its data URI, that of its dark version if it has one, and its size in pixels."""

    light: str
    dark: str | None
    width: int
    height: int


def write_report(folder: Path, record: RunRecord) -> Path:
    """Write figures/*.png, samples.gif and report.html of a finished run into `folder`; return the page.

    report.html needs nothing else: pictures are data URIs, there is no script, and it reads in light and
    dark, on paper and on a phone. Cost: 3 s and 3 MB.
    """
    film = gif_bytes(record.samples.film, record.image_shape)
    pictures = {"film": picture(film)}
    for name, tex in EQUATIONS.items():
        pictures[name] = picture(figures.equation(tex, theme=LIGHT), figures.equation(tex, theme=DARK))
    page = write_page(
        folder,
        "run.html.jinja",
        lambda theme: draw(record, theme),
        draw_plates(record),
        pictures,
        context(record),
    )
    (folder / "samples.gif").write_bytes(film)
    return page


def write_page(
    folder: Path,
    template: str,
    charts: Callable[[Theme], dict[str, bytes]],
    plates: dict[str, bytes],
    pictures: dict[str, Picture],
    values: dict[str, Any],
) -> Path:
    """Write figures/*.png and report.html into `folder`; return the page.

    template: file of the template; `thermogen.report.wording` formats its numbers
    charts: the PNG files of a theme by name
    plates: PNG files that are the same in both themes
    pictures: further pictures of the page, without a file in figures/
    values: the other variables of the template
    """
    target = folder / "figures"
    target.mkdir(parents=True, exist_ok=True)
    light, dark = charts(LIGHT), charts(DARK)
    for name, content in (light | plates).items():
        (target / f"{name}.png").write_bytes(content)
    pictures = pictures | {
        name: picture(content, dark.get(name)) for name, content in (light | plates).items()
    }
    environment = Environment(
        loader=PackageLoader("thermogen.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    page = folder / "report.html"
    text = environment.get_template(template).render(pictures=pictures, **values)
    page.write_text(text, encoding="utf-8")
    return page


def draw(record: RunRecord, theme: Theme) -> dict[str, bytes]:
    """The figures with text by name, as PNG; figures without data are absent."""
    samples, shape, results = record.samples, record.image_shape, record.results
    shown = min(SHOWN, samples.film.shape[1])
    published = results["published"]
    scores, noise = _scores(record)
    heats = [f"{heat:,.0f}".replace("-", "−") for heat in samples.heat_kT[:shown]]
    numbers = [str(number + 1) for number in range(shown)]
    noising, labels = record.noising_film[:, :SHOWN], [str(label) for label in record.labels[:SHOWN]]
    drawn = {
        "noising": figures.strips(noising, record.noising_times, shape, labels, theme=theme),
        "films": figures.strips(
            samples.film[:, :shown], samples.film_times, shape, numbers, heats, heading="$Q/kT$", theme=theme
        ),
        "heat": figures.heat_figure(
            samples.heat_kT,
            [
                ("Whitelam 2026", published["heat_kT"]["mean"], published["heat_kT"]["std"]),
                ("Wang & Deng 2026", published["heat_kT_wang_deng"]["mean"], None),
            ],
            theme=theme,
        ),
        "correlation": figures.correlation_figure(scores.correlation, noise, theme=theme),
        "ratio": figures.ratio_figure(results["path_ratio"], theme=theme),
        "ledger": ledger_figure(results["energy"], theme=theme),
    }
    if len(record.loss):
        drawn["loss"] = figures.loss_figure(
            record.loss, record.validation, results["loss"]["noise_floor"], theme=theme
        )
    if record.connection_fields.any():
        drawn["fields"] = figures.connection_figure(record.connection_fields, shape, theme=theme)
    return drawn


def draw_plates(record: RunRecord) -> dict[str, bytes]:
    """The pictures without text by name, as PNG: the same on light and dark pages."""
    visible, shape = record.samples.visible, record.image_shape
    correlation = _scores(record)[0].correlation
    plates = {
        "nearest": nearest_png(record.prototypes, visible, correlation, shape),
        "grid": grid_png(visible[:GRID], shape),
    }
    if record.second is not None:
        plates["second"] = grid_png(record.second.visible[:GRID], shape)
    return plates


def context(record: RunRecord) -> dict[str, Any]:
    """The variables of the template, without the pictures."""
    results = record.results
    lines = results["energy"]["lines"]
    digital = next((line for line in lines if line["name"].startswith("digital")), lines[-1])
    noise = _scores(record)[1]
    strongest = None if noise is None else np.abs(noise).max(1)
    return {
        **results,
        "units": record.samples.units,
        "prototypes": len(record.prototypes),
        "shown_samples": min(GRID, len(record.samples)),
        "shown_films": min(SHOWN, record.samples.film.shape[1]),
        "labels": sorted(set(record.labels)),
        "image_shape": record.image_shape,
        "cycles": len(record.loss),
        "trained_exactly": results["settings"].get("trainer") == "exact",
        "second": results.get("second"),
        "exact": results.get("exact"),
        "readout": results["settings"].get("readout") or 0,
        "digital": digital,
        "room_kT": digital["joules"] / digital["kT"],
        "comparison": _comparison(results, digital),
        "departures": {
            name: {"ours": results["settings"][name], "published": value}
            for name, value in PUBLISHED_SETTINGS.items()
            if name in results["settings"] and results["settings"][name] != value
        },
        "published_settings": PUBLISHED_SETTINGS,
        "noise_correlation": None if strongest is None else float(strongest.mean()),
        "noise_n": 0 if strongest is None else len(strongest),
        "parts": results.get("energy_kT"),
        "pixels": record.image_shape[0] * record.image_shape[1],
    }


def _comparison(results: dict[str, Any], digital: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of name, unit, published figure, our figure and their quotient."""
    published, heat = results["published"], results["heat_kT"]
    source, ratio = published["heat_kT"]["source"], results["energy"]["ratios"]["heat alone"]
    denoiser = {"mean": published["digital_kT"], "source": source}
    bound = {"mean": published["ratio"], "above": True, "source": source}
    rows = (
        ("heat of a generated sample", "kT", published["heat_kT"], heat),
        ("heat of a generated sample", "kT", published["heat_kT_wang_deng"], heat),
        ("energy of the digital denoiser", "kT", denoiser, {"mean": digital["kT"]}),
        ("digital energy ÷ heat of generation", "", bound, {"mean": ratio}),
    )
    return [
        {"name": name, "unit": unit, "published": theirs, "ours": ours,
         "quotient": None if ours["mean"] is None else ours["mean"] / theirs["mean"]}
        for name, unit, theirs, ours in rows
    ]  # fmt: skip


def _scores(record: RunRecord):
    """Scores of the samples, and the correlations of their initial states (None if constant)."""
    start = record.samples.film[0]
    noise = None if (start.std(1) == 0).any() else prototype_scores(start, record.prototypes).correlation
    return prototype_scores(record.samples.visible, record.prototypes), noise


def picture(light: bytes, dark: bytes | None = None) -> Picture:
    """PNG or GIF bytes, and those of the dark version, as data URIs."""
    with Image.open(io.BytesIO(light)) as image:
        (width, height), kind = image.size, str(image.format).lower()

    def uri(content: bytes) -> str:
        return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"

    return Picture(uri(light), None if dark is None else uri(dark), width, height)
