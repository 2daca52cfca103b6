"""Downloads: samples as numbers or pictures, the film, the model folder."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from thermogen.report.films import gif_bytes, grid_png
from thermogen.studio.simulation import Simulation

_FILMED = 16  # samples in the film at most


class File(NamedTuple):
    """A file for the browser to save."""

    name: str
    kind: str
    content: bytes


def samples(simulation: Simulation) -> File:
    """States, read-out if there is one, energies and settings, as .npz (load it with numpy)."""
    ledger, units = simulation.ledger(), simulation.units
    arrays = {
        "x": simulation.x,
        "visible": _pictures(simulation),
        "hidden": simulation.x[:, units.slice("hidden")],
        "heat_kT": ledger.heat,
        "work_kT": ledger.work,
        "energy_change_kT": ledger.change,
        "image_shape": np.array(simulation.shown.model.image_shape),
        **{name: np.array(getattr(simulation, name)) for name in ("t", "dt", "kT", "seed")},
    }
    if simulation.labels is not None:
        arrays["labels"] = simulation.labels
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return File("samples.npz", "application/octet-stream", stream.getvalue())


def pictures(simulation: Simulation) -> File:
    """The read-outs, or before t_f the states, as one PNG."""
    content = grid_png(_pictures(simulation), simulation.shown.model.image_shape)
    return File("samples.png", "image/png", content)


def film(simulation: Simulation) -> File:
    """The run so far as an animated GIF."""
    frames = np.stack(simulation.film)[:, :_FILMED].astype(np.float32)
    content = gif_bytes(frames, simulation.shown.model.image_shape, columns=4)
    return File("film.gif", "image/gif", content)


def model(simulation: Simulation) -> File:
    """The model folder as a .zip; all commands accept the unpacked folder."""
    name = "".join(letter if letter.isalnum() else "-" for letter in simulation.shown.name).strip("-")
    stream = io.BytesIO()
    with (
        tempfile.TemporaryDirectory() as folder,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for path in sorted(simulation.shown.model.save_pretrained(Path(folder) / "model").iterdir()):
            archive.write(path, f"{name}/{path.name}")
    return File(f"{name}.zip", "application/zip", stream.getvalue())


def _pictures(simulation: Simulation) -> np.ndarray:
    now = simulation.x[:, simulation.units.slice("visible")]
    return now if simulation.readout is None else simulation.readout


FILES: dict[str, Callable[[Simulation], File]] = {
    "samples.npz": samples,
    "samples.png": pictures,
    "film.gif": film,
    "model.zip": model,
}
