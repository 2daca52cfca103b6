"""Where N x N numbers end: what may still be made a matrix, and what large computers are told instead."""

from __future__ import annotations

from thermogen.couplings.base import Units
from thermogen.errors import require

MOST_DENSE_UNITS = 16_384
"""Units of which an N x N matrix may still be made: 1 GB in float32."""
MOST_DENSE_PAIRS = MOST_DENSE_UNITS**2
"""Couplings that dense blocks may hold together."""


def check_dense(units: Units, what: str = "the N x N matrix of couplings") -> None:
    """InputError if N x N numbers would not fit: large computers are worked on by edges or factors alone."""
    total = units.total
    require(
        total <= MOST_DENSE_UNITS,
        f"{what} of {total:,} units would take {4e-9 * total**2:,.0f} GB: it is made for up to "
        f"{MOST_DENSE_UNITS:,} units; use products (apply), and values on edges or factors",
    )
