"""The defect map of a device: the data with which training compensates its defects."""

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
"""Imperfections that a defect map holds: those of units and couplers that training can compensate."""
_ON_SITE = ("J2", "J4", "mobility")


def defect_map(key: Key[Array, ""], computer: Control, imperfections: Imperfections) -> dict[str, np.ndarray]:
    """The device that `make_device` builds from this key: J2, J4, mobility (N,) and dead (N, N).

    dead is True for couplers that are lost in both directions, whatever their value.
    Raises InputError for other imperfections, which a map cannot hold, and for couplings that are not pair by
    pair.
    """
    unmapped = [name for name in imperfections.present() if name not in MAPPED]
    require(
        not unmapped,
        f"{', '.join(unmapped)}: a defect map holds {', '.join(MAPPED)} alone; leave the others out",
    )
    if not isinstance(computer, Computer):
        raise InputError(f"a defect map is of one computer, not of {type(computer).__name__}")
    couplings = computer.couplings
    if not isinstance(couplings, PairCouplings):
        raise InputError(
            "a defect map is of couplers pair by pair, these go through summing nodes: use a model that was "
            "not compressed"
        )
    # All couplers of the probe are 1: a coupler with the value 0 may be dead too.
    wired = couplings.mask()
    probe = couplings.with_matrix(wired.astype(computer.bias.dtype))
    device = make_device(key, eqx.tree_at(lambda c: c.couplings, computer, probe), imperfections)
    on_site = {name: np.asarray(getattr(device.dynamics, name), float) for name in _ON_SITE}
    return {**on_site, "dead": np.asarray(wired) & (device.matrix() == 0)}


def with_defects(computer: Computer, defects: Mapping[str, np.ndarray]) -> Computer:
    """A computer on a device for which it was not trained: units of the device, without dead couplers."""
    mask = np.asarray(as_pairs(computer.couplings).mask()) & ~defects["dead"]
    couplings = as_pairs(from_mask(computer.units, mask)).with_matrix(computer.couplings.matrix())
    values = (jnp.asarray(defects[name], computer.bias.dtype) for name in _ON_SITE)
    return eqx.tree_at(lambda c: (c.couplings, c.J2, c.J4, c.mobility), computer, (couplings, *values))


def read_defect_map(path: Path, units: Units) -> dict[str, np.ndarray]:
    """The defect map in an .npz file: measured J2, J4, mobility (N,), and dead (N, N), True for couplers that
    are lost in both directions. InputError for another file, or a map of another size.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: np.asarray(stored[name]) for name in (*_ON_SITE, "dead")}
    except FileNotFoundError as error:
        raise InputError(f"defect map {path} does not exist: check the path") from error
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} is no defect map ({error}): save {', '.join(_ON_SITE)}, dead with numpy.savez"
        ) from error
    total = units.total
    for name, array in arrays.items():
        shape = (total, total) if name == "dead" else (total,)
        require(array.shape == shape, f"{name} of {path} has shape {array.shape}: give {shape}, one per unit")
    dead = arrays["dead"].astype(bool)
    return {**{name: arrays[name].astype(float) for name in _ON_SITE}, "dead": dead | dead.T}
