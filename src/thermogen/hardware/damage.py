"""The defect map of a device: what training has to know to work around it."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from thermogen.computer import Computer
from thermogen.couplings import BlockCouplings, EdgeCouplings, from_mask
from thermogen.errors import InputError, require
from thermogen.hardware.device import Device

MAPPED = ("mismatch_J2", "mismatch_J4", "mismatch_mobility", "dead")
"""Imperfections that a defect map holds: those of units and couplers that training can reckon with."""


def defect_map(device: Device) -> dict[str, Float[np.ndarray, " N"] | Bool[np.ndarray, "N N"]]:
    """J2, J4, mobility (N,) of the device's units, and dead (N, N): couplers that are lost.

    Raises InputError for imperfections of other kinds, which a map cannot hold, and for couplings that are
    not pair by pair.
    """
    other = [name for name in device.imperfections.present() if name not in MAPPED]
    require(
        not other,
        f"{', '.join(other)}: a defect map holds {', '.join(MAPPED)} alone; leave the others out",
    )
    if not isinstance(device.control, Computer):
        raise InputError(f"a defect map is of one computer, not of {type(device.control).__name__}")
    couplings = device.control.couplings
    require(
        isinstance(couplings, BlockCouplings | EdgeCouplings),
        "a defect map is of couplers pair by pair, these go through summing nodes: use a model that was not "
        "compressed",
    )
    d = device.dynamics
    return {
        "J2": np.asarray(d.J2, float),
        "J4": np.asarray(d.J4, float),
        "mobility": np.asarray(d.mobility, float),
        # A coupler that is set to 0 cannot be told from a dead one, and need not be.
        "dead": (device.matrix() == 0) & (np.asarray(couplings.matrix()) != 0),
    }


def damaged(device: Device) -> Computer:
    """The computer that a damaged chip is if it is set as a perfect one: its units, its couplers alive."""
    found = defect_map(device)
    control = device.control
    assert isinstance(control, Computer)
    mask = np.asarray(control.couplings.mask()) & ~found["dead"]
    couplings = from_mask(control.units, mask).with_matrix(control.couplings.matrix())
    values = (jnp.asarray(found[name], control.bias.dtype) for name in ("J2", "J4", "mobility"))
    return eqx.tree_at(lambda c: (c.couplings, c.J2, c.J4, c.mobility), control, (couplings, *values))
