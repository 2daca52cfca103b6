"""All that decides a training run, checked before any work."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import load_npz

from thermogen.couplings import (
    Couplings,
    Units,
    all_to_all,
    from_mask,
    from_pairs,
    linked,
    low_rank,
    planes,
    published,
    scattered,
    through_modes,
)
from thermogen.errors import InputError, require
from thermogen.noising import IMPRINTS
from thermogen.seeds import check_seed

EXACT_DEFAULTS: dict[str, Any] = {
    "imprint": "code",
    "train_visible_biases": True,
    "amplitude": 2.5,
    "hidden_amplitude": 5.0,
    "ramp_fraction": 0.4,
    "readout": 0.4,
}
UNLABELLED_DEFAULTS: dict[str, Any] = {"train_visible_biases": False, "amplitude": 1.75}
"""Settings of the exact trainer, and where they differ for imprints that do not use the label.

What each contributes is measured in docs/exact-training.md.
"""


@dataclass(frozen=True)
class Settings:
    """All that decides a training run. Defaults are the published setting (PRL 136, 037101); see also `of`.

    Energies in E0, times in 1 / (mobility E0). learning_rate None means 1e-3 / t_f. topology: see `wiring`.
    couplings: a .npy file with the (N, N) matrix to start from (default 0). For the exact trainer alone:
    segments of time with couplings of their own, couplings per class, a ridge, and the force error to which
    couplings are compressed (None: not).
    """

    digits: tuple[int, ...] = (0, 1, 2)
    images: str | None = None
    imprint: str = "tile"
    trainer: str = "batch"
    cycles: int = 100
    delay: int = 10
    trajectories: int = 1
    optimizer: str = "sgd"
    learning_rate: float | None = None
    train_visible_biases: bool = False
    segments: int = 1
    per_class: bool = False
    ridge: float = 0.0
    compress: float | None = None
    hidden: int = 512
    output: int = 0
    topology: str = "published"
    couplings: str | None = None
    amplitude: float = 2.0
    hidden_amplitude: float = 6.0
    kT: float = 0.1
    t_f: float = 2.5
    dt: float = 1e-3
    ramp_fraction: float = 0.75
    readout: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what can be refused before any work."""
        require(self.segments >= 1, f"segments = {self.segments}: give 1 or more")
        require(self.ridge >= 0, f"ridge = {self.ridge}: give 0 or more")
        require(
            self.compress is None or 0 < self.compress < 1,
            f"compress = {self.compress}: give a number between 0 and 1, e.g. 1e-3",
        )
        for name, value, idle in (
            ("segments", self.segments, 1),
            ("per_class", self.per_class, False),
            ("ridge", self.ridge, 0.0),
            ("compress", self.compress, None),
        ):
            require(
                self.trainer == "exact" or value == idle,
                f"{name} = {value} needs the exact trainer: leave it out, or use --trainer exact",
            )
        require(
            self.trainer != "exact" or self.couplings is None,
            f"couplings = {self.couplings}: the exact trainer solves and starts from none; leave them out or "
            "use --trainer batch",
        )
        if self.imprint not in IMPRINTS:
            raise InputError(f"unknown imprint {self.imprint!r}: choose one of {', '.join(IMPRINTS)}")
        for name in ("hidden", "output"):
            require(getattr(self, name) >= 0, f"{name} = {getattr(self, name)}: give 0 or more {name} units")
        require(self.cycles >= 0, f"cycles = {self.cycles}: give 0 or more")
        for name in ("amplitude", "hidden_amplitude"):
            value = getattr(self, name)
            require(bool(np.isfinite(value)), f"{name} = {value}: give a finite field in E0")
        require(
            self.kT > 0 and bool(np.isfinite(self.kT)),
            f"kT = {self.kT}: give a positive number (reference: 0.1)",
        )
        check_seed(self.seed)

    @classmethod
    def of(cls, trainer: str, **given: Any) -> Settings:
        """Settings with the defaults that suit a trainer where `given` has None or nothing.

        'exact': a code for the label on the hidden units with trained visible biases (`EXACT_DEFAULTS`), or
        `UNLABELLED_DEFAULTS` with other imprints. The rest: the published setting.
        """
        chosen = {name: value for name, value in given.items() if value is not None}
        defaults = {}
        if trainer == "exact":
            labelled = chosen.get("imprint", "code") in ("code", "groups")
            defaults = EXACT_DEFAULTS | ({} if labelled else UNLABELLED_DEFAULTS)
        return cls(trainer=trainer, **(defaults | chosen))


def wiring(topology: str, units: Units, image_shape: tuple[int, int]) -> Couplings:
    """Zero couplings of a topology by name, by links, or by the file of a mask or of pairs.

    'published'; 'all' pairs; 'planes' or 'planes:RADIUS'; 'scattered:NEIGHBOURS'; 'low-rank:R' (the
    published links in R modes each); 'modes:R' (all pairs in R modes); links such as
    'visible-hidden,visible-visible'; a .npy file with an (N, N) mask; an .npz file with `pairs` (edges, 2),
    or one of scipy.sparse.save_npz.
    """
    name, _, number = topology.partition(":")
    if topology == "published":
        return published(units) if units.hidden else all_to_all(units)
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
    return linked(units, *topology.split(","))


def _number(topology: str, kind: type) -> Any:
    name, _, number = topology.partition(":")
    try:
        return kind(number)
    except ValueError as error:
        whole = "" if kind is float else "whole "
        raise InputError(
            f"topology {topology!r}: give a {whole}number after '{name}:', e.g. {name}:3"
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
