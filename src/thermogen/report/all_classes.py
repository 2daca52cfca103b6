"""The report on a generator of all classes: a grid of asked images, the comparison, heat and completion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thermogen.report.films import gif_bytes, grid_png
from thermogen.report.page import picture, render
from thermogen.report.quality import interval, quality_energy_figure, quality_time_figure
from thermogen.report.theme import DARK, LIGHT


@dataclass(frozen=True)
class AllClassesRecord:
    """What the report shows. Images are flat; `asked` come sorted by the label they were asked as.

    results: the content of results.json. film: (frames, m, pixels). completion: held-out images, the same
    completed, and which pixels were shown.
    """

    results: dict[str, Any]
    image_shape: tuple[int, int]
    asked: Float[np.ndarray, "n pixels"]
    labels: Int[np.ndarray, " n"]
    film: Float[np.ndarray, "frames m pixels"]
    completion: tuple[np.ndarray, np.ndarray, np.ndarray]


def write_all_classes_report(folder: Path, record: AllClassesRecord) -> Path:
    """Write figures/*.png, samples.gif and report.html into `folder`; return the page."""
    target = folder / "figures"
    target.mkdir(parents=True, exist_ok=True)
    each = int(np.bincount(np.unique(record.labels, return_inverse=True)[1]).max())
    whole, completed, shown = record.completion
    rows = np.concatenate([np.where(shown, whole, whole.min()), completed, whole])
    plates = {
        "asked": grid_png(record.asked, record.image_shape, each),
        "completion": grid_png(rows, record.image_shape, len(whole)),
    }
    charts = {"quality-energy": quality_energy_figure, "quality-time": quality_time_figure}
    light = {name: draw(record.results, theme=LIGHT) for name, draw in charts.items()}
    dark = {name: draw(record.results, theme=DARK) for name, draw in charts.items()}
    for name, content in (plates | light).items():
        (target / f"{name}.png").write_bytes(content)
    film = gif_bytes(record.film, record.image_shape)
    (folder / "samples.gif").write_bytes(film)
    pictures = {name: picture(content) for name, content in plates.items()}
    pictures |= {name: picture(light[name], dark[name]) for name in charts}
    pictures["film"] = picture(film)
    page = folder / "report.html"
    best = next(row for row in record.results["rows"] if row["name"].endswith("averaged"))
    text = render(
        "ten.html.jinja",
        pictures=pictures,
        best=best,
        interval=interval,
        labels=sorted({int(label) for label in record.labels}),
        each=each,
        **record.results,
    )
    page.write_text(text, encoding="utf-8")
    return page
