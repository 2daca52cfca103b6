"""Model folders: a JSON card and safetensors weights, checked when read. No pickle."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
from dataclasses import asdict, dataclass, field
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from thermogen.control import Control
from thermogen.couplings import Units
from thermogen.errors import InputError, require
from thermogen.noising import Schedule
from thermogen.storage.arrays import kind, pack, shape, unpack

FORMAT = 1
CARD, WEIGHTS = "card.json", "model.safetensors"
SHIPPED = ("three-digits", "ten-digits", "published")
"""Models that come with the package, made by `scripts/make_models.py`; see docs/models.md."""


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    packages = ("thermogen", "jax", "jaxlib", "equinox", "optax", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


@dataclass(frozen=True)
class Model:
    """A control with everything that its use needs.

    schedule: times of noising and generation.
    image_shape: height and width of the visible units.
    data, training: the source of the images, and the settings of the training.
    figures: measured numbers with their n.
    prototypes: the trained images, standardised (P, pixels), if they are few.
    """

    computer: Control
    schedule: Schedule
    image_shape: tuple[int, int]
    data: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    prototypes: np.ndarray | None = None

    def save_pretrained(self, folder: str | Path, *, force: bool = False) -> Path:
        """Write the model folder completely or not at all.

        Raises InputError if `folder` exists. With `force` an older model folder is replaced; a folder with
        any other file is kept.
        """
        folder = Path(folder)
        check_free(folder, force)
        folder.parent.mkdir(parents=True, exist_ok=True)
        arrays = pack(self.computer)
        if self.prototypes is not None:
            arrays["prototypes"] = np.ascontiguousarray(self.prototypes, np.float32)
        weights = save(arrays)
        card = {
            "format": FORMAT,
            "units": asdict(self.computer.units),
            "couplings": kind(self.computer),
            "control": shape(self.computer),
            "couplers": self.computer.couplers(),
            "couplers_full": self.computer.computers()[0].couplings.count_full(),
            "image_shape": list(self.image_shape),
            "schedule": asdict(self.schedule),
            **{name: getattr(self, name) for name in ("data", "training", "figures")},
            "versions": versions(),
            "weights": {"file": WEIGHTS, "sha256": hashlib.sha256(weights).hexdigest()},
        }
        card["sha256"] = checksum(card)
        # Written under another name and renamed: a reader never sees half a model.
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            (draft / WEIGHTS).write_bytes(weights)
            (draft / CARD).write_text(json.dumps(card, indent=2) + "\n")
            draft.chmod(0o755)
            if folder.exists():
                shutil.rmtree(folder)
            os.replace(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return folder

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> Model:
        """Read a model folder, or a shipped model by its name (`SHIPPED`).

        Raises InputError if there is none, or if its files are truncated or altered.
        """
        folder = model_folder(folder)
        card = read_card(folder)
        path = folder / WEIGHTS
        require(path.is_file(), f"model {folder} has no {WEIGHTS}: copy the folder again or train anew")
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        require(
            digest == card["weights"]["sha256"],
            f"{path} has checksum {digest[:12]}…, the card says {card['weights']['sha256'][:12]}…: "
            "the file is truncated or altered; copy the folder again or train anew",
        )
        try:
            arrays = load(content)
        except SafetensorError as error:
            raise InputError(f"{path} cannot be read ({error}): copy the folder again") from error
        units, schedule = Units(**card["units"]), Schedule(**card["schedule"])
        return cls(
            computer=unpack(units, card["couplings"], card["control"], schedule.t_f, arrays, str(path)),
            schedule=schedule,
            image_shape=(card["image_shape"][0], card["image_shape"][1]),
            prototypes=arrays.get("prototypes"),
            **{name: card[name] for name in ("data", "training", "figures")},
        )


def model_folder(folder: str | Path) -> Path:
    """The folder itself or, if there is none, the folder of the shipped model of this name."""
    if str(folder) in SHIPPED and not Path(folder).exists():
        return Path(str(resources.files("thermogen"))) / "shipped" / "models" / str(folder)
    return Path(folder)


def check_free(folder: Path, force: bool) -> None:
    """InputError if a model cannot go to `folder`; with `force` an older model there may be replaced."""
    if folder.exists():
        is_model = folder.is_dir() and {entry.name for entry in folder.iterdir()} <= {CARD, WEIGHTS}
        require(is_model, f"{folder} exists and is no model folder: it is kept; choose another --out")
        require(
            force, f"{folder} holds a model: it is kept; choose another --out, or replace it with --force"
        )


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a model folder, its own checksum verified."""
    path = model_folder(folder) / CARD
    require(
        path.is_file(),
        f"{folder} is no model folder (no {CARD}): give a folder made by 'thermogen train', "
        f"or {', '.join(SHIPPED)}",
    )
    try:
        card = json.loads(path.read_text())
        stated = card["sha256"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}): copy the folder again or train anew") from error
    require(
        stated == checksum(card),
        f"{path} was altered (its checksum differs): copy the folder again or train anew",
    )
    require(
        card["format"] == FORMAT,
        f"{path} has format {card['format']}, this version reads {FORMAT}: update thermogen",
    )
    return card


def checksum(record: dict[str, Any]) -> str:
    """sha256 of a record as JSON, without its own entry `sha256`."""
    content = {name: value for name, value in record.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
