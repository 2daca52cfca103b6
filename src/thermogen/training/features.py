"""Features of a field: what one image contributes to the statistics of exact training, per unit.

m(f, t) and u(f, t) of all fields span, in time, a space of 10 to 15 dimensions. In an orthonormal basis of it
the time integral of a product of two of them is a scalar product of coefficients: the features of the two
fields. As functions of the field the features are short Chebyshev series, so that features of millions of
fields are matrix products.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from thermogen.computer import Computer
from thermogen.errors import require
from thermogen.moments import Moments, chebyshev_terms, coefficients, unit_moments
from thermogen.noising import Schedule

EXACT, SUMMED = 1e-9, 1e-6
"""Directions in time smaller than this, relative to the largest, are left out: few images, many images."""


class Table(eqx.Module):
    """Chebyshev coefficients in the field, for one segment and per kind of unit.

    mean, drive: of the features of m and u, (F, rank), odd in f. even: of (int (s - m^2) dt,
    int a f m dt - [s]), (F, 2). integral: of each basis function over time, (rank,).
    """

    mean: tuple[Float[Array | np.ndarray, "_ rank"], ...]
    drive: tuple[Float[Array | np.ndarray, "_ rank"], ...]
    even: tuple[Float[Array | np.ndarray, "_ 2"], ...]
    integral: Float[Array | np.ndarray, " rank"]

    @property
    def rank(self) -> int:
        """Number of features."""
        return self.mean[0].shape[1]


class Places(eqx.Module):
    """Fields as arguments z of the Chebyshev series, (images, units of a kind), with the units' order."""

    z: tuple[Float[Array | np.ndarray, "images _"], ...]
    order: Int[np.ndarray, " N"] | None


class FeatureTables:
    """Tables for the units of a computer, up to the largest field met so far."""

    def __init__(self, computer: Computer, schedule: Schedule, segments: int):
        onsite = np.stack([np.asarray(computer.J2, float), np.asarray(computer.J4, float)], 1)
        self._kinds, kind_of = np.unique(onsite, axis=0, return_inverse=True)
        self._members = [np.flatnonzero(kind_of.reshape(-1) == kind) for kind in range(len(self._kinds))]
        self._order = None if len(self._kinds) == 1 else np.argsort(np.concatenate(self._members))
        self._process = (float(computer.kT), float(computer.mobility), schedule)
        self._segments = segments
        self._largest = 0.0
        self._moments: list[Moments] = []
        self._made: dict[tuple[int, float], Table] = {}

    def cover(self, largest: float) -> None:
        """Solve for fields up to `largest`, if the tables do not reach that far yet."""
        require(largest > 0, "largest field = 0: an image without contrast teaches nothing")
        if largest <= self._largest:
            return
        # A little more, rounded, so that similar image sets share one solution.
        self._largest = float(np.ceil(largest * 1.02 * 4) / 4)
        self._moments = [
            unit_moments(float(J2), float(J4), *self._process, self._largest, segments=self._segments)
            for J2, J4 in self._kinds
        ]
        self._made.clear()

    def table(self, segment: int, tolerance: float) -> Table:
        """The table of a segment, without directions below `tolerance` of the largest."""
        if (segment, tolerance) not in self._made:
            table = _table(self._moments, segment, tolerance)
            if tolerance > EXACT:
                table = jax.tree.map(lambda values: np.asarray(values, np.float32), table)
            self._made[segment, tolerance] = table
        return self._made[segment, tolerance]

    def places(self, fields: Float[np.ndarray, "images N"]) -> Places:
        """Where these fields lie in the tables."""
        z = tuple(
            np.arcsinh(fields[:, members] / fields.dtype.type(one.scale)) / fields.dtype.type(one.stretch)
            for members, one in zip(self._members, self._moments, strict=True)
        )
        return Places(z, self._order)


@jax.jit
def features(
    places: Places, table: Table
) -> tuple[Float[Array, "rank images N"], Float[Array, "rank images N"], Float[Array, "4 N"]]:
    """Features of m and of u, and means over the images of int (s - m^2), int m, int u dt and of U_jj."""
    M, V, even = unit_features(places, table)
    mbar, ubar = (jnp.tensordot(table.integral, one.mean(1), 1) for one in (M, V))
    even = even.mean(1)
    return M, V, jnp.stack([even[0], mbar, ubar, even[1]])


def unit_features(
    places: Places, table: Table
) -> tuple[Float[Array, "rank images N"], Float[Array, "rank images N"], Float[Array, "2 images N"]]:
    """Features of m and of u, and int (s - m^2) and U_jj, for every image and unit."""
    parts: list[list[Array]] = [[], [], []]
    for z, mean, drive, rest in zip(places.z, table.mean, table.drive, table.even, strict=True):
        z = jnp.asarray(z)
        for part, series, parity in zip(parts, (mean, drive, rest), (1, 1, 0), strict=True):
            part.append(_series(z, series, parity))
    M, V, even = (
        part[0] if places.order is None else jnp.concatenate(part, -1)[..., places.order] for part in parts
    )
    return M, V, even


@jax.jit
def products(
    places: Places, table: Table
) -> tuple[Float[Array, "N N"], Float[Array, "N N"], Float[Array, "4 N"]]:
    """E and U summed over the images, and the means of `features`."""
    M, V, means = features(places, table)
    M, V = (one.reshape(-1, one.shape[-1]) for one in (M, V))
    E, U = (jnp.einsum("kn,km->nm", one, M, precision="highest") for one in (M, V))
    return E, U, means


def _series(z: Array, c: Array | np.ndarray, parity: int) -> Float[Array, "columns images _"]:
    """sum_k c_k T_{2k + parity}(z): one fused pass, the polynomials are never stored."""
    terms = iter(chebyshev_terms(z, len(c), parity))
    columns = jnp.asarray(c)[:, :, None, None]
    total = columns[0] * next(terms)
    for column, term in zip(columns[1:], terms, strict=True):
        total = total + column * term
    return total


def _table(moments: list[Moments], segment: int, tolerance: float) -> Table:
    weights = moments[0].weights[segment]
    ends = np.flatnonzero(weights)[[0, -1]]
    drives = [2 * one.slope - one.ramp * one.fields[:, None] for one in moments]
    values = np.concatenate([one.mean for one in moments] + drives) * np.sqrt(weights)
    left, size, right = np.linalg.svd(values, full_matrices=False)
    rank = int((size > tolerance * size[0]).sum())
    if tolerance == EXACT:
        # Widths in steps of 16, the surplus next to nothing: segments then share one compiled program.
        rank = min(-(-rank // 16) * 16, len(size))
    counts = [len(one.fields) for one in moments]
    parts = np.split(left[:, :rank] * size[:rank], np.cumsum(counts * 2)[:-1])
    even = []
    for one, m in zip(moments, parts, strict=False):
        variance = one.square @ weights - (m * m).sum(1)
        held = one.fields * (one.mean @ (weights * one.ramp))
        lost = one.square[:, ends[1]] - one.square[:, ends[0]]
        even.append(coefficients(np.stack([variance, held - lost], 1), 0))
    series = [coefficients(part, 1) for part in parts]
    half = len(moments)
    integral = right[:rank] @ np.sqrt(weights)
    return Table(tuple(series[:half]), tuple(series[half:]), tuple(even), integral)
