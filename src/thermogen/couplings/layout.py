"""Layouts of edges for many products: bands if few distances occur, otherwise rows of neighbours."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from thermogen.couplings.base import Prepared, Units

_MOST_BANDS = 128  # every band is a line of the compiled program
_FILLED = 1 / 3  # share of used places in the bands: below, look-up of neighbours costs less
_TOGETHER = 8  # states whose products are added in registers before a sum is written back


class PreparedBands(Prepared):
    """J x = sum_k (above_k x shifted by d_k + below_k x shifted by -d_k): slices, no look-up.

    above[k, i] = J_i,i+d and below[k, i] = J_i,i-d for d = offsets[k]; 0 where there is no such unit.
    """

    above: Float[Array, "bands N"]
    below: Float[Array, "bands N"]
    offsets: tuple[int, ...] = eqx.field(static=True)
    units: Units = eqx.field(static=True)

    def apply(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """The product J x in one fused pass. Cost: 0.3 to 0.5 ns per coupling and sample on two cores."""
        # Samples are contiguous: a number that a shift reads from another sample has the weight 0.
        flat, reach = x.reshape(-1), max(self.offsets)
        # The barrier stores the padding once. Fused into every term, it would be a branch per number read.
        padded = jax.lax.optimization_barrier(jnp.pad(flat, (reach, reach)))
        total = jnp.zeros_like(x)
        for above, below, offset in zip(self.above, self.below, self.offsets, strict=True):
            right, left = reach + offset, reach - offset
            total = total + above * padded[right : right + flat.size].reshape(x.shape)
            total = total + below * padded[left : left + flat.size].reshape(x.shape)
        return total


class PreparedRows(Prepared):
    """J x by looking up one neighbour of every unit at a time, for any wiring.

    Row i holds up to S neighbours of unit i. Further rows, of units `owner`, hold the remaining ones.
    """

    weights: Float[Array, "S rows"]
    source: Int[Array, "S rows"]
    owner: Int[Array, " extra"]
    units: Units = eqx.field(static=True)

    def apply(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """The product J x. Cost: 1.5 to 2 ns per coupling and sample on two cores."""

        def add(total, row):
            weights, source = row
            return total + weights * x[..., source], None

        rows = jnp.zeros((*x.shape[:-1], self.source.shape[1]), x.dtype)
        rows, _ = jax.lax.scan(add, rows, (self.weights, self.source))
        total, extra = jnp.split(rows, [self.units.total], -1)
        return total.at[..., self.owner].add(extra) if self.owner.size else total


class Bands(eqx.Module):
    """Edges by distance: `edge` (bands, N), the number of the edge (i, i + offsets[k]) or that of no edge."""

    edge: Int[Array, "bands N"]
    offsets: tuple[int, ...] = eqx.field(static=True)

    def prepared(self, values: Float[Array, " edges"], units: Units) -> PreparedBands:
        """The values in bands, once for each direction."""
        above = jnp.append(values, 0)[self.edge]
        before = jnp.arange(units.total) - jnp.asarray(self.offsets)[:, None]
        below = jnp.where(before >= 0, jnp.take_along_axis(above, jnp.maximum(before, 0), 1), 0)
        return PreparedBands(above=above, below=below, offsets=self.offsets, units=units)

    def outer(
        self, pairs: Int[Array, "edges 2"], r: Float[Array, "steps N"], x: Float[Array, "steps N"]
    ) -> Float[Array, " edges"]:
        """sum_k (r_ki x_kj + r_kj x_ki) per edge, from slices of both."""
        total = r.shape[1]

        def add(sums, rows):
            a, b = rows
            return [
                band + sum(p[: total - d] * q[d:] + p[d:] * q[: total - d] for p, q in zip(a, b, strict=True))
                for band, d in zip(sums, self.offsets, strict=True)
            ], None

        zero = [jnp.zeros(total - d, r.dtype) for d in self.offsets]
        sums, _ = jax.lax.scan(add, zero, (_grouped(r), _grouped(x)))
        bands = jnp.stack([jnp.pad(band, (0, d)) for band, d in zip(sums, self.offsets, strict=True)])
        first, second = pairs.T
        return bands[jnp.searchsorted(jnp.asarray(self.offsets), second - first), first]


class Rows(eqx.Module):
    """Edges by unit: the edge and the neighbour at each place of a row (`PreparedRows`)."""

    edge: Int[Array, "S rows"]
    source: Int[Array, "S rows"]
    owner: Int[Array, " extra"]

    def prepared(self, values: Float[Array, " edges"], units: Units) -> PreparedRows:
        """The values in rows."""
        weights = jnp.append(values, 0)[self.edge]
        return PreparedRows(weights=weights, source=self.source, owner=self.owner, units=units)

    def outer(
        self, pairs: Int[Array, "edges 2"], r: Float[Array, "steps N"], x: Float[Array, "steps N"]
    ) -> Float[Array, " edges"]:
        """sum_k (r_ki x_kj + r_kj x_ki) per edge, by look-up of both ends."""
        i, j = pairs.T

        def add(sums, rows):
            return sums + sum(p[i] * q[j] + p[j] * q[i] for p, q in zip(*rows, strict=True)), None

        return jax.lax.scan(add, jnp.zeros(len(i), r.dtype), (_grouped(r), _grouped(x)))[0]


def _grouped(rows: Float[Array, "steps N"]) -> Float[Array, "groups together N"]:
    """Rows in groups, the last filled up with zeros."""
    groups = -(-len(rows) // _TOGETHER)
    return jnp.pad(rows, ((0, groups * _TOGETHER - len(rows)), (0, 0))).reshape(groups, _TOGETHER, -1)


def lay_out(total: int, pairs: Int[np.ndarray, "edges 2"]) -> Bands | Rows:
    """The layout for edges i < j of `total` units: bands if few distances occur, otherwise rows."""
    distance = pairs[:, 1] - pairs[:, 0]
    offsets, band = np.unique(distance, return_inverse=True)
    none = len(pairs)
    if 0 < len(offsets) <= _MOST_BANDS and none >= _FILLED * len(offsets) * total:
        edge = np.full((len(offsets), total), none, np.int32)
        edge[band.reshape(-1), pairs[:, 0]] = np.arange(none)
        return Bands(jnp.asarray(edge), tuple(offsets.tolist()))
    unit, neighbour = pairs.T.reshape(-1), pairs[:, ::-1].T.reshape(-1)
    order = np.argsort(unit, kind="stable")
    unit, neighbour, number = unit[order], neighbour[order], np.tile(np.arange(none), 2)[order]
    degree = np.bincount(unit, minlength=total)
    place = np.arange(2 * none) - np.repeat(np.cumsum(degree) - degree, degree)
    slots = _slots(degree)
    further = np.maximum(-(-degree // slots) - 1, 0)
    first_extra = total + np.cumsum(further) - further
    row = np.where(place < slots, unit, first_extra[unit] + place // slots - 1)
    shape = (slots, total + int(further.sum()))
    edge, source = np.full(shape, none, np.int32), np.zeros(shape, np.int32)
    edge[place % slots, row], source[place % slots, row] = number, neighbour
    return Rows(jnp.asarray(edge), jnp.asarray(source), jnp.asarray(np.repeat(np.arange(total), further)))


def _slots(degree: Int[np.ndarray, " N"]) -> int:
    """Length of the rows of least cost: short rows need extra rows, long rows have empty places."""
    largest = max(1, int(degree.max(initial=0)))
    choices = np.unique(np.geomspace(1, largest, 40).round().astype(int))
    added = 8  # cost of adding an extra row to its unit, in places
    costs = [
        len(degree) * slots + int(np.maximum(-(-degree // slots) - 1, 0).sum()) * (slots + added)
        for slots in choices
    ]
    return int(choices[int(np.argmin(costs))])
