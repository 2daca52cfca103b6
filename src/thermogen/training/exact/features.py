"""Features of a field: what one image contributes to the statistics of exact training, per unit.

m(f, t) and u(f, t) of all fields span, in time, a space of 10 to 15 dimensions. In an orthonormal basis of it
the time integral of a product of two of them is a scalar product of coefficients: the features of the two
fields. As functions of the field the features are short Chebyshev series, so that features of millions of
fields are matrix products.
"""

from __future__ import annotations

from functools import cached_property

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from thermogen.computer import Computer
from thermogen.errors import InputError, require
from thermogen.noising import Schedule
from thermogen.noising.moments import (
    Moments,
    MomentTable,
    UnitKind,
    chebyshev_terms,
    coefficients,
    field_moments,
    unit_moments,
)

FIELDS_PER_KIND = 16
"""Solutions per kind of unit that a table costs. Fewer fields are solved for directly."""
EXACT, SUMMED = 1e-9, 1e-6
"""Directions in time below this share of the largest are left out, for few images and for many."""

Features = tuple[Float[Array, "rank images N"], Float[Array, "rank images N"], Float[Array, "4 N"]]


class Table(eqx.Module):
    """Chebyshev coefficients in the field, for one segment and per group of units.

    A group holds all units that need F coefficients. If they are of several kinds, the arrays have a last
    axis of units. mean, drive: of the features of m and u, (F, rank), odd in f. even: of
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


class DirectFeatures:
    """Features of a few fields, solved for without a table. units (N, 3): J2, J4 and mobility."""

    def __init__(
        self,
        units: Float[np.ndarray, "N 3"],
        fields: Float[np.ndarray, "images N"],
        kT: float,
        schedule: Schedule,
        segments: int,
    ):
        self._units, self._fields = units, fields.astype(float)
        self._process = kT, schedule, segments

    @cached_property
    def _moments(self) -> Moments:
        kT, schedule, segments = self._process
        lanes = np.tile(self._units, (len(self._fields), 1))
        return field_moments(lanes, self._fields.reshape(-1), kT, schedule, segments=segments)

    def features(self, segment: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What `features` returns of tables, to within `EXACT`."""
        moments, shape = self._moments, self._fields.shape
        weights = moments.weights[segment]
        left, size, right = np.linalg.svd(
            np.concatenate([moments.mean, _drive(moments)]) * np.sqrt(weights), full_matrices=False
        )
        rank = _rank(size, EXACT)
        M, V = np.split(left[:, :rank] * size[:rank], 2)
        integral = right[:rank] @ np.sqrt(weights)
        variance, work = _even(moments, M, np.tile(self._units[:, 2], len(self._fields)), weights)
        means = np.stack([v.reshape(shape).mean(0) for v in (variance, M @ integral, V @ integral, work)])
        return M.T.reshape(rank, *shape), V.T.reshape(rank, *shape), means


class FeatureTables:
    """Tables for the units of a computer, up to the largest field so far.

    Units of one J2, J4 and mobility are of one kind. Up to `direct` fields per kind are solved for directly.
    InputError for a unit that does not move.
    """

    def __init__(self, computer: Computer, schedule: Schedule, segments: int, direct: int = FIELDS_PER_KIND):
        total = computer.units.total
        values = (computer.J2, computer.J4, computer.mobility)
        self._units = np.stack([np.broadcast_to(np.asarray(value, float), total) for value in values], 1)
        still = np.flatnonzero(~(self._units[:, 2] > 0))
        if len(still):
            raise InputError(
                f"unit {still[0]} has mobility {self._units[still[0], 2]:g}: exact training needs units that "
                "move; give a positive mobility"
            )
        kinds, kind_of = np.unique(self._units, axis=0, return_inverse=True)
        self._kinds = [UnitKind(*kind) for kind in kinds.tolist()]
        self._kind_of = kind_of.reshape(-1)
        self._process = float(computer.kT), schedule, segments
        self._left = direct * len(kinds)
        self._largest = 0.0
        self._moments: list[MomentTable] = []
        self._members: list[np.ndarray] = []
        self._order: np.ndarray | None = None
        self._made: dict[tuple[int, float], Table] = {}

    def direct(self, fields: Float[np.ndarray, "images N"]) -> DirectFeatures | None:
        """Features of these fields without a table; None if tables for all kinds are less work."""
        if self._moments or fields.size > self._left:
            return None
        self._left -= fields.size
        return DirectFeatures(self._units, fields, *self._process)

    def cover(self, largest: float) -> None:
        """Solve for fields up to `largest`, if the tables do not reach that far yet."""
        require(largest > 0, "largest field = 0: an image without contrast teaches nothing")
        if largest <= self._largest:
            return
        # A little more, rounded, so that similar image sets share one solution.
        self._largest = float(np.ceil(largest * 1.02 * 4) / 4)
        kT, schedule, segments = self._process
        self._moments = unit_moments(self._kinds, kT, schedule, self._largest, segments=segments)
        nodes = np.array([len(table.fields) for table in self._moments])
        group = np.unique(nodes, return_inverse=True)[1][self._kind_of]
        self._members = [np.flatnonzero(group == number) for number in range(group.max() + 1)]
        self._order = None if len(self._members) == 1 else np.argsort(np.concatenate(self._members))
        self._made.clear()

    def table(self, segment: int, tolerance: float) -> Table:
        """The table of a segment, without directions below `tolerance` of the largest."""
        if (segment, tolerance) not in self._made:
            *series, integral = self._series_of_kinds(segment, tolerance)
            table = Table(*map(self._grouped, series), integral=integral)
            if tolerance > EXACT:
                table = jax.tree.map(lambda values: np.asarray(values, np.float32), table)
            self._made[segment, tolerance] = table
        return self._made[segment, tolerance]

    def places(self, fields: Float[np.ndarray, "images N"]) -> Places:
        """Places of these fields in the tables."""
        scale, stretch = (
            np.array([getattr(table, name) for table in self._moments], fields.dtype)[self._kind_of]
            for name in ("scale", "stretch")
        )
        z = [np.arcsinh(fields[:, units] / scale[units]) / stretch[units] for units in self._members]
        return Places(tuple(z), self._order)

    def _grouped(self, of_kind: list[np.ndarray]) -> tuple[np.ndarray, ...]:
        """One array per group from one array per kind, with a last axis of units if its kinds are several."""
        return tuple(
            of_kind[kinds[0]] if np.ptp(kinds) == 0 else np.stack([of_kind[kind] for kind in kinds], -1)
            for kinds in (self._kind_of[members] for members in self._members)
        )

    def _series_of_kinds(
        self, segment: int, tolerance: float
    ) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray], np.ndarray]:
        """The fields of `Table`, with an array per kind of unit."""
        moments = self._moments
        weights = moments[0].weights[segment]
        values = [table.mean for table in moments] + [_drive(table) for table in moments]
        left, size, right = np.linalg.svd(np.concatenate(values) * np.sqrt(weights), full_matrices=False)
        rank = _rank(size, tolerance)
        counts = [len(table.fields) for table in moments]
        rows = np.split(left[:, :rank] * size[:rank], np.cumsum(counts * 2)[:-1])
        even = [
            coefficients(np.stack(_even(table, M, kind.mobility, weights), 1), 0)
            for table, kind, M in zip(moments, self._kinds, rows, strict=False)
        ]
        series = [coefficients(values, 1) for values in rows]
        return series[: len(moments)], series[len(moments) :], even, right[:rank] @ np.sqrt(weights)


@jax.jit
def features(places: Places, table: Table) -> Features:
    """Features of m and of u, and means over the images of int (s - m^2), int m, int u dt and of U_jj."""
    M, V, even = unit_features(places, table)
    mbar, ubar = (jnp.tensordot(table.integral, values.mean(1), 1) for values in (M, V))
    even = even.mean(1)
    return M, V, jnp.stack([even[0], mbar, ubar, even[1]])


def unit_features(places: Places, table: Table) -> tuple[Array, Array, Float[Array, "2 images N"]]:
    """Features of m and of u, and int (s - m^2) and U_jj, for every image and unit."""

    def in_order(series: tuple[Array | np.ndarray, ...], parity: int) -> Array:
        groups = [_series(jnp.asarray(z), c, parity) for z, c in zip(places.z, series, strict=True)]
        return groups[0] if places.order is None else jnp.concatenate(groups, -1)[..., places.order]

    return in_order(table.mean, 1), in_order(table.drive, 1), in_order(table.even, 0)


@jax.jit
def products(places: Places, table: Table) -> tuple[Float[Array, "N N"], Float[Array, "N N"], Array]:
    """E and U summed over the images, and the means of `features`."""
    M, V, means = features(places, table)
    M, V = (values.reshape(-1, values.shape[-1]) for values in (M, V))
    E, U = (jnp.einsum("kn,km->nm", values, M, precision="highest") for values in (M, V))
    return E, U, means


def _series(z: Array, c: Array | np.ndarray, parity: int) -> Float[Array, "columns images _"]:
    """sum_k c_k T_{2k + parity}(z) in one fused pass; no polynomial is stored."""
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
        # Ranks in steps of 16, so that segments share one compiled program.
        rank = min(-(-rank // 16) * 16, len(size))
    return rank


def _drive(moments: Moments) -> Float[np.ndarray, "F T"]:
    """u(f, t) = 2 g - a f."""
    return 2 * moments.slope - moments.ramp * moments.fields[:, None]


def _even(
    moments: Moments, M: np.ndarray, mobility: float | np.ndarray, weights: Float[np.ndarray, " T"]
) -> tuple[Float[np.ndarray, " F"], Float[np.ndarray, " F"]]:
    """int (s - m^2) dt and int a f m dt - [s] / mu over the segment of these weights."""
    begin, end = np.flatnonzero(weights)[[0, -1]]
    power = moments.fields * (moments.mean @ (weights * moments.ramp))
    change = moments.square[:, end] - moments.square[:, begin]
    return moments.square @ weights - (M * M).sum(1), power - change / mobility
