"""A training run from its settings: images, computer, fields, schedule and rule, and the trained model."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.sparse import load_npz

from thermogen.computer import Computer, make_computer
from thermogen.couplings import (
    Couplings,
    Units,
    all_to_all,
    as_pairs,
    checked_matrix,
    from_links,
    from_mask,
    from_pairs,
    low_rank,
    planes,
    published_couplings,
    scattered,
    through_modes,
)
from thermogen.data import Images, load_digits, load_images
from thermogen.errors import InputError, require
from thermogen.generation import check_segments
from thermogen.hardware.imperfect.defect_map import read_defect_map
from thermogen.noising import Schedule, imprint_fields
from thermogen.parallel import from_first
from thermogen.seeds import stream
from thermogen.storage.model import Model
from thermogen.studies.progress import Stage, silent
from thermogen.studies.settings import Settings
from thermogen.training import Rule, TrainingResult, train, train_exact

_FEW = 100  # prototypes up to this number travel with the model


@dataclass(frozen=True)
class Experiment:
    """Everything that training needs, from its settings; `prepare` finds every error in them.

    defect_map: file and checksum of the defect map of the device that is trained for, if it is not perfect.
    """

    settings: Settings
    images: Images
    computer: Computer
    fields: Float[Array, "P N"]
    schedule: Schedule
    rule: Rule
    defect_map: dict[str, Any] | None = None

    def train(self, checkpoint: Path | None = None, stage: Stage = silent) -> TrainingResult:
        """Train with progress; continue from `checkpoint` if that file exists.

        Several processes share the sums of exact training. Process 0 alone runs the other rules.
        """
        settings, key = self.settings, stream(self.settings.seed, "training")
        given = (key, self.computer, self.fields, self.schedule)
        kept: dict[str, Any] = {"checkpoint": checkpoint, "settings": fingerprint(self)}
        if settings.trainer == "exact":
            with stage("training", 100) as tick:
                return train_exact(
                    *given,
                    labels=self.images.labels if settings.per_class else None,
                    segments=settings.segments,
                    visible_biases=self.rule.visible_biases,
                    ridge=settings.ridge,
                    compression=settings.compress,
                    progress=lambda fraction, note: tick(int(100 * fraction), note),
                    **kept,
                )

        def run_cycles() -> TrainingResult:
            with stage("training", settings.cycles) as tick:
                return train(
                    *given,
                    self.rule,
                    cycles=settings.cycles,
                    progress=lambda p: tick(p.done, f"loss {p.loss:.3f}"),
                    **kept,
                )

        # A cycle needs the result of the cycle before: process 0 runs them, and the others wait.
        like = TrainingResult(self.computer, np.zeros(0), np.zeros((0, 3)), 0.0)
        return from_first("training", run_cycles, like)

    def model(self, result: TrainingResult, figures: dict[str, Any] | None = None) -> Model:
        """The trained computer with its card."""
        last = None
        if len(result.validation):
            last = dict(zip(("cycle", "loss", "change_sem"), result.validation[-1].tolist(), strict=True))
        training = {
            **asdict(self.settings),
            "validation_loss": last,
            **({} if result.exact is None else {"exact": result.exact}),
            **({} if self.defect_map is None else {"defect_map": self.defect_map}),
        }
        data = {
            "source": self.images.source,
            "sha256": self.images.sha256,
            "labels": self.images.labels.tolist(),
            "prototypes": len(self.images),
        }
        prototypes = self.images.standardised() if len(self.images) <= _FEW else None
        return Model(
            result.computer, self.schedule, self.images.shape, data, training, figures or {}, prototypes
        )


def fingerprint(experiment: Experiment) -> dict[str, Any]:
    """Everything that must be equal for one run to continue another."""
    identity = {**asdict(experiment.settings), "data_sha256": experiment.images.sha256}
    defects = experiment.defect_map
    return identity if defects is None else {**identity, "defect_map_sha256": defects["sha256"]}


def prepare(settings: Settings, defect_map: Path | None = None, images: Images | None = None) -> Experiment:
    """Read the images and build the experiment; InputError, before any work, for every error in the settings.

    defect_map: the map (`read_defect_map`) of the device to train for: its units, its dead couplers left out.
    images: the training images, if they do not come from a file.
    """
    if images is not None:
        require(settings.images is None and not settings.digits, "images are given twice: leave one out")
        source = images
    else:
        source = load_digits() if settings.images is None else load_images(settings.images)
    chosen = images is None and settings.images is None
    images = source.choose(settings.digits) if chosen or settings.digits else source
    schedule = Schedule(settings.t_f, settings.dt, settings.ramp_fraction, settings.readout)
    check_segments(schedule, settings.segments)
    rule = Rule(
        "batch" if settings.trainer == "exact" else settings.trainer,
        settings.delay,
        settings.trajectories,
        settings.learning_rate,
        settings.optimizer,
        settings.train_visible_biases,
    )
    units = Units(visible=images.shape[0] * images.shape[1], hidden=settings.hidden, output=settings.output)
    couplings = wiring(settings.topology, units, images.shape)
    if settings.couplings is not None:
        matrix = checked_matrix(
            _read_matrix(settings.couplings), units, f"coupling matrix {settings.couplings}"
        )
        couplings = as_pairs(couplings).with_matrix(jnp.asarray(matrix, jnp.float32))
    force = imprint_fields(
        images.standardised(),
        images.labels,
        settings.hidden,
        output=settings.output,
        imprint=settings.imprint,
        amplitude=settings.amplitude,
        hidden_amplitude=settings.hidden_amplitude,
        key=stream(settings.seed, "imprint"),
    )
    values: dict[str, Any] = {}
    origin = None
    if defect_map is not None:
        values = read_defect_map(defect_map, units)
        dead = values.pop("dead")
        couplings = from_mask(units, np.asarray(as_pairs(couplings).mask()) & ~dead)
        origin = {"file": defect_map.name, "sha256": hashlib.sha256(defect_map.read_bytes()).hexdigest()}
    computer = make_computer(couplings, kT=settings.kT, **values)
    return Experiment(settings, images, computer, force, schedule, rule, origin)


def wiring(topology: str, units: Units, image_shape: tuple[int, int]) -> Couplings:
    """Zero couplings of a topology by name, by links, or by the file of a mask or of pairs.

    'published'; 'all' pairs; 'planes' or 'planes:RADIUS'; 'scattered:NEIGHBOURS'; 'low-rank:R' (the
    published links in R modes each); 'modes:R' (all pairs in R modes); links such as
    'visible-hidden,visible-visible'; a .npy file with an (N, N) mask; an .npz file with `pairs` (edges, 2),
    or one of scipy.sparse.save_npz.
    """
    name, _, number = topology.partition(":")
    if topology == "published":
        return published_couplings(units) if units.hidden else all_to_all(units)
    if topology == "all":
        return all_to_all(units)
    if topology == "planes":
        return planes(units, *image_shape)
    if number and name in ("planes", "scattered", "low-rank", "modes"):
        if name == "planes":
            return planes(units, *image_shape, radius=_number(topology, float))
        makers = {"scattered": scattered, "low-rank": low_rank, "modes": through_modes}
        return makers[name](units, _number(topology, int))
    if topology.endswith(".npz"):
        return from_pairs(units, _read_pairs(topology))
    if topology.endswith(".npy"):
        return from_mask(units, _read_matrix(topology))
    return from_links(units, *topology.split(","))


def _number(topology: str, kind: type) -> Any:
    name, _, number = topology.partition(":")
    try:
        return kind(number)
    except ValueError as error:
        integer = "" if kind is float else "whole "
        raise InputError(
            f"topology {topology!r}: give a {integer}number after '{name}:', e.g. {name}:3"
        ) from error


def _read_pairs(path: str) -> Any:
    try:
        with np.load(path, allow_pickle=False) as stored:
            if "pairs" in stored:
                return np.asarray(stored["pairs"])
        return load_npz(path)
    except FileNotFoundError as error:
        raise InputError(f"file of pairs {path} does not exist: check the path") from error
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} holds no pairs ({error}): save an (edges, 2) array 'pairs' with numpy.savez, or a "
            "sparse matrix with scipy.sparse.save_npz"
        ) from error


def _read_matrix(path: str) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError(f"matrix file {path} does not exist: check the path") from error
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"{path} is no .npy matrix: save it with numpy.save") from error
