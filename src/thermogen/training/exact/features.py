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
from thermogen.noising import Schedule
from thermogen.noising.moments import Moments, chebyshev_terms, coefficients, unit_moments
from thermogen.noising.moments_per_unit import LaneMoments, lane_moments, moments_per_unit

_FEW_KINDS = 8
"""Up to so many kinds of units are solved for one after the other, more in one march."""
_WORTH = 16
"""Solutions per kind of unit that a table costs: for fewer, fields of images are solved for as they are."""
EXACT, SUMMED = 1e-9, 1e-6
"""Directions in time smaller than this, relative to the largest, are left out: few images, many images."""


class Table(eqx.Module):
    """Chebyshev coefficients in the field, for one segment and per group of units.

    A group is the units of one kind, or all units that need F coefficients of their own: then the arrays
    have a last axis of units. mean, drive: of the features of m and u, (F, rank), odd in f. even: of
    (int (s - m^2) dt, int a f m dt - [s] / mu), (F, 2). integral: of each basis function over time, (rank,).
    """

    mean: tuple[Float[Array | np.ndarray, "_ rank *_units"], ...]
    drive: tuple[Float[Array | np.ndarray, "_ rank *_units"], ...]
    even: tuple[Float[Array | np.ndarray, "_ 2 *_units"], ...]
    integral: Float[Array | np.ndarray, " rank"]

    @property
    def rank(self) -> int:
        """Number of features."""
        return self.mean[0].shape[1]


class Places(eqx.Module):
    """Fields as arguments z of the Chebyshev series, (images, units of a group), with the units' order."""

    z: tuple[Float[Array | np.ndarray, "images _"], ...]
    order: Int[np.ndarray, " N"] | None


class FeatureTables:
    """Tables for the units of a computer, up to the largest field met so far.

    Units of one J2, J4 and mobility are of one kind. Many kinds are solved for together
    (`thermogen.noising.moments_per_unit`). InputError for a unit that does not move.
    """

    def __init__(self, computer: Computer, schedule: Schedule, segments: int):
        total = computer.units.total
        units = np.stack(
            [
                np.broadcast_to(np.asarray(one, float), total)
                for one in (computer.J2, computer.J4, computer.mobility)
            ],
            1,
        )
        still = np.flatnonzero(~(units[:, 2] > 0))
        require(
            not len(still),
            f"unit {still[0] if len(still) else 0} has mobility {units[still[0], 2] if len(still) else 0:g}: "
            "exact training needs units that move; give a positive mobility",
        )
        self._kinds, kind_of = np.unique(units, axis=0, return_inverse=True)
        self._kind_of = kind_of.reshape(-1)
        self._unlike = len(self._kinds) > _FEW_KINDS
        self._process = (float(computer.kT), schedule)
        self._segments = segments
        self._largest = 0.0
        self._moments: list[Moments] = []
        self._members: list[np.ndarray] = []
        self._order: np.ndarray | None = None
        self._made: dict[tuple[int, float], Table] = {}
        self._spent = 0
        self._direct: tuple[np.ndarray, LaneMoments] | None = None

    def solve(self, fields: Float[np.ndarray, "images N"]) -> bool:
        """Solve for these very fields, if that is less work than tables for so many kinds of units."""
        if not self._unlike or self._moments or self._spent + fields.size > _WORTH * len(self._kinds):
            return False
        self._spent += fields.size
        J2, J4, mobility = np.tile(self._kinds[self._kind_of].T, len(fields))
        kT, schedule = self._process
        lanes = fields.astype(float).reshape(-1)
        self._direct = fields, lane_moments(J2, J4, mobility, lanes, kT, schedule, segments=self._segments)
        return True

    def solved(
        self, fields: Float[np.ndarray, "images N"], segment: int
    ) -> tuple[Float[np.ndarray, "rank images N"], Float[np.ndarray, "rank images N"], np.ndarray] | None:
        """What `features` returns for the fields that `solve` took; None for others."""
        if self._direct is None or self._direct[0] is not fields:
            return None
        one = self._direct[1]
        f = fields.astype(float).reshape(-1)
        weights = one.weights[segment]
        drive = 2 * one.slope - one.ramp * f[:, None]
        left, size, right = np.linalg.svd(
            np.concatenate([one.mean, drive]) * np.sqrt(weights), full_matrices=False
        )
        rank = _rank(size, EXACT)
        M, V = np.split(left[:, :rank] * size[:rank], 2)
        ends = np.flatnonzero(weights)[[0, -1]]
        lost = (one.square[:, ends[1]] - one.square[:, ends[0]]).reshape(fields.shape)
        held = (f * (one.mean @ (weights * one.ramp))).reshape(fields.shape)
        variance = (one.square @ weights - (M * M).sum(1)).reshape(fields.shape)
        means = [
            variance.mean(0),
            *((part @ (right[:rank] @ np.sqrt(weights))).reshape(fields.shape).mean(0) for part in (M, V)),
            (held - lost / self._kinds[self._kind_of, 2]).mean(0),
        ]
        M, V = (part.T.reshape(rank, *fields.shape) for part in (M, V))
        return M, V, np.stack(means)

    def cover(self, largest: float) -> None:
        """Solve for fields up to `largest`, if the tables do not reach that far yet."""
        require(largest > 0, "largest field = 0: an image without contrast teaches nothing")
        if largest <= self._largest:
            return
        # A little more, rounded, so that similar image sets share one solution.
        self._largest = float(np.ceil(largest * 1.02 * 4) / 4)
        kT, schedule = self._process
        group_of = np.arange(len(self._kinds))
        if self._unlike:
            J2, J4, mobility = self._kinds.T
            self._moments = moments_per_unit(
                J2, J4, mobility, kT, schedule, self._largest, segments=self._segments
            )
            group_of = np.unique([len(one.fields) for one in self._moments], return_inverse=True)[1]
        else:
            self._moments = [
                unit_moments(
                    float(J2),
                    float(J4),
                    kT,
                    float(mobility),
                    schedule,
                    self._largest,
                    segments=self._segments,
                )
                for J2, J4, mobility in self._kinds
            ]
        group = group_of[self._kind_of]
        self._members = [np.flatnonzero(group == one) for one in range(group.max() + 1)]
        self._order = None if len(self._members) == 1 else np.argsort(np.concatenate(self._members))
        self._made.clear()

    def table(self, segment: int, tolerance: float) -> Table:
        """The table of a segment, without directions below `tolerance` of the largest."""
        if (segment, tolerance) not in self._made:
            table = _table(self._moments, self._kinds[:, 2], segment, tolerance)
            if self._unlike:
                table = self._grouped(table)
            if tolerance > EXACT:
                table = jax.tree.map(lambda values: np.asarray(values, np.float32), table)
            self._made[segment, tolerance] = table
        return self._made[segment, tolerance]

    def places(self, fields: Float[np.ndarray, "images N"]) -> Places:
        """Where these fields lie in the tables."""
        exact = fields.dtype.type
        z = []
        for members in self._members:
            one = self._moments[self._kind_of[members[0]]]
            scale, stretch = exact(one.scale), exact(one.stretch)
            if self._unlike:
                scale, stretch = (
                    np.array([getattr(self._moments[kind], name) for kind in self._kind_of[members]], exact)
                    for name in ("scale", "stretch")
                )
            z.append(np.arcsinh(fields[:, members] / scale) / stretch)
        return Places(tuple(z), self._order)

    def _grouped(self, table: Table) -> Table:
        """One array per group, with a last axis of units, from one array per kind."""

        def grouped(kinds: tuple) -> tuple:
            return tuple(
                np.stack([kinds[kind] for kind in self._kind_of[members]], -1) for members in self._members
            )

        return Table(grouped(table.mean), grouped(table.drive), grouped(table.even), table.integral)


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
    columns = jnp.asarray(c)[:, :, None, None] if c.ndim == 2 else jnp.asarray(c)[:, :, None]
    total = columns[0] * next(terms)
    for column, term in zip(columns[1:], terms, strict=True):
        total = total + column * term
    return total


def _rank(size: np.ndarray, tolerance: float) -> int:
    """Number of directions above `tolerance` of the largest."""
    rank = int((size > tolerance * size[0]).sum())
    if tolerance == EXACT:
        # Widths in steps of 16, the surplus next to nothing: segments then share one compiled program.
        rank = min(-(-rank // 16) * 16, len(size))
    return rank


def _table(
    moments: list[Moments], mobility: Float[np.ndarray, " K"], segment: int, tolerance: float
) -> Table:
    weights = moments[0].weights[segment]
    ends = np.flatnonzero(weights)[[0, -1]]
    drives = [2 * one.slope - one.ramp * one.fields[:, None] for one in moments]
    values = np.concatenate([one.mean for one in moments] + drives) * np.sqrt(weights)
    left, size, right = np.linalg.svd(values, full_matrices=False)
    rank = _rank(size, tolerance)
    counts = [len(one.fields) for one in moments]
    parts = np.split(left[:, :rank] * size[:rank], np.cumsum(counts * 2)[:-1])
    even = []
    for one, mu, m in zip(moments, mobility, parts, strict=False):
        variance = one.square @ weights - (m * m).sum(1)
        held = one.fields * (one.mean @ (weights * one.ramp))
        lost = one.square[:, ends[1]] - one.square[:, ends[0]]
        even.append(coefficients(np.stack([variance, held - lost / mu], 1), 0))
    series = [coefficients(part, 1) for part in parts]
    half = len(moments)
    integral = right[:rank] @ np.sqrt(weights)
    return Table(tuple(series[:half]), tuple(series[half:]), tuple(even), integral)
