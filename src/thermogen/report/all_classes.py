"""The report on a generator of all classes: images by class, the comparison, heat and completion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from thermogen.report.films import gif_bytes, grid_png
from thermogen.report.page import picture, write_page
from thermogen.report.quality import interval, quality_energy_figure, quality_time_figure


@dataclass(frozen=True)
class AllClassesRecord:
    """What the report shows. Images are flat; `requested` are the generated ones, sorted by requested class.

    results: the content of results.json. film: (frames, m, pixels). completion: held-out images, their
    completions, and which pixels were shown.
    """

    results: dict[str, Any]
    image_shape: tuple[int, int]
    requested: Float[np.ndarray, "n pixels"]
    labels: Int[np.ndarray, " n"]
    film: Float[np.ndarray, "frames m pixels"]
    completion: tuple[np.ndarray, np.ndarray, np.ndarray]


def write_all_classes_report(folder: Path, record: AllClassesRecord) -> Path:
    """Write figures/*.png, samples.gif and report.html into `folder`; return the page."""
    results, (labels, counts) = record.results, np.unique(record.labels, return_counts=True)
    originals, completed, shown = record.completion
    rows = np.concatenate([np.where(shown, originals, originals.min()), completed, originals])
    plates = {
        "requested": grid_png(record.requested, record.image_shape, int(counts.max())),
        "completion": grid_png(rows, record.image_shape, len(originals)),
    }
    charts = {"quality-energy": quality_energy_figure, "quality-time": quality_time_figure}
    film = gif_bytes(record.film, record.image_shape)
    best = next(row for row in results["rows"] if row["name"].endswith("averaged"))
    columns = {"best": best, "interval": interval, "labels": labels.tolist(), "columns": int(counts.max())}
    page = write_page(
        folder,
        "all_classes.html.jinja",
        lambda theme: {name: draw(results, theme=theme) for name, draw in charts.items()},
        plates,
        {"film": picture(film)},
        columns | results,
    )
    (folder / "samples.gif").write_bytes(film)
    return page
