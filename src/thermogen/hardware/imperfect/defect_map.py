"""The defect map of a chip: what training has to know to work around it."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from thermogen.computer import Computer
from thermogen.control import Control
from thermogen.couplings import PairCouplings, Units, as_pairs, from_mask
from thermogen.errors import InputError, require
from thermogen.hardware.imperfect.device import make_device
from thermogen.hardware.imperfect.imperfections import Imperfections

MAPPED = ("mismatch_J2", "mismatch_J4", "mismatch_mobility", "dead")
"""Imperfections that a defect map holds: those of units and couplers that training can reckon with."""


def defect_map(key: Key[Array, ""], computer: Control, imperfections: Imperfections) -> dict[str, np.ndarray]:
    """The chip that `make_device` builds from this key: J2, J4, mobility (N,) and dead (N, N).

    dead is True for couplers that are lost, in both directions, whatever they were set to.
    Raises InputError for imperfections of other kinds, which a map cannot hold, and for couplings that are
    not pair by pair.
    """
    other = [name for name in imperfections.present() if name not in MAPPED]
    require(
        not other,
        f"{', '.join(other)}: a defect map holds {', '.join(MAPPED)} alone; leave the others out",
    )
    if not isinstance(computer, Computer):
        raise InputError(f"a defect map is of one computer, not of {type(computer).__name__}")
    couplings = computer.couplings
    if not isinstance(couplings, PairCouplings):
        raise InputError(
            "a defect map is of couplers pair by pair, these go through summing nodes: use a model that was "
            "not compressed"
        )
    # Looked at through couplers that are all set to 1: one that was set to 0 may be dead too.
    wired = couplings.mask()
    probe = couplings.with_matrix(wired.astype(computer.bias.dtype))
    device = make_device(key, eqx.tree_at(lambda c: c.couplings, computer, probe), imperfections)
    units = device.dynamics
    return {
        "J2": np.asarray(units.J2, float),
        "J4": np.asarray(units.J4, float),
        "mobility": np.asarray(units.mobility, float),
        "dead": np.asarray(wired) & (device.matrix() == 0),
    }


def with_defects(computer: Computer, defects: Mapping[str, np.ndarray]) -> Computer:
    """A computer as it is on a chip that it was not trained for: units of the chip, dead couplers gone."""
    mask = np.asarray(as_pairs(computer.couplings).mask()) & ~defects["dead"]
    couplings = as_pairs(from_mask(computer.units, mask)).with_matrix(computer.couplings.matrix())
    values = (jnp.asarray(defects[name], computer.bias.dtype) for name in ("J2", "J4", "mobility"))
    return eqx.tree_at(lambda c: (c.couplings, c.J2, c.J4, c.mobility), computer, (couplings, *values))


DEFECT_MAP = ("J2", "J4", "mobility", "dead")
"""Arrays of a defect map."""


def read_defect_map(path: Path, units: Units) -> dict[str, np.ndarray]:
    """The defect map of a chip: J2, J4, mobility (N,), as measured on it, and dead (N, N), True for couplers
    that are lost in both directions. An .npz file; InputError for one that is not, or of another size.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = {name: np.asarray(stored[name]) for name in DEFECT_MAP}
    except FileNotFoundError as error:
        raise InputError(f"defect map {path} does not exist: check the path") from error
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} is no defect map ({error}): save {', '.join(DEFECT_MAP)} with numpy.savez"
        ) from error
    total = units.total
    for name, array in found.items():
        shape = (total, total) if name == "dead" else (total,)
        require(array.shape == shape, f"{name} of {path} has shape {array.shape}: give {shape}, one per unit")
    dead = found["dead"].astype(bool)
    return {**{name: found[name].astype(float) for name in DEFECT_MAP[:3]}, "dead": dead | dead.T}
