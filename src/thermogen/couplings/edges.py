"""Couplings as a list of edges, for sparse wiring: the cost is proportional to the number of couplers."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from thermogen.couplings.base import Couplings, PairCouplings, Units, check_dense
from thermogen.couplings.layout import Bands, PreparedBands, PreparedRows, Rows, lay_out
from thermogen.errors import InputError, require


class EdgeCouplings(PairCouplings):
    """J as values on edges i < j, without arrays of size N x N.

    `values` (edges,), in E0; `pairs` (edges, 2). `layout` decides the product: shifted slices if few
    distances j - i occur, as on planes, otherwise look-up of neighbours.

    Cost of `apply`: two multiply–adds per edge. Memory: 24 to 36 bytes an edge in a time loop (float32).
    """

    values: Float[Array, " edges"]
    pairs: Int[Array, "edges 2"]
    layout: Bands | Rows
    units: Units = eqx.field(static=True)

    @classmethod
    def from_pairs(cls, units: Units, pairs: np.ndarray, dtype=jnp.float32) -> EdgeCouplings:
        """Zero couplings on (edges, 2) pairs of unit numbers; `values` have the order of the pairs.

        Raises InputError for pairs that are no whole numbers, unknown units, a unit paired with itself, and
        pairs given twice. Cost: a sort of the edges.
        """
        pairs = checked_pairs(pairs, units)
        return cls(
            values=jnp.zeros(len(pairs), dtype),
            pairs=jnp.asarray(pairs),
            layout=lay_out(units.total, pairs),
            units=units,
        )

    def with_values(self, values: Float[Array | np.ndarray, " edges"]) -> EdgeCouplings:
        """The same edges with these values (edges,), in the order of `pairs`."""
        if np.shape(values) != self.values.shape:
            raise InputError(
                f"values have shape {np.shape(values)}: give one for each of {self.count()} edges"
            )
        return eqx.tree_at(lambda c: c.values, self, jnp.asarray(values, self.values.dtype))

    def apply(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """The product J x."""
        return self.prepared().apply(x)

    def prepared(self) -> PreparedBands | PreparedRows:
        """The values laid out for many products, a weight for each direction."""
        return self.layout.prepared(jnp.asarray(self.values), self.units)

    def outer(self, r: Float[Array, "steps N"], x: Float[Array, "steps N"]) -> EdgeCouplings:
        """Learning signal per edge: sum_k (r_ki x_kj + r_kj x_ki). Memory: a few numbers an edge."""
        return eqx.tree_at(lambda c: c.values, self, self.layout.outer(self.pairs, r, x))

    def matrix(self) -> Float[Array, "N N"]:
        """The dense matrix J; InputError where it does not fit."""
        check_dense(self.units)
        i, j = self.pairs.T
        matrix = jnp.zeros((self.units.total, self.units.total), self.values.dtype)
        return matrix.at[i, j].set(self.values).at[j, i].set(self.values)

    def with_matrix(self, matrix: Float[Array, "N N"]) -> EdgeCouplings:
        """The values of `matrix` on these edges."""
        values = jnp.asarray(matrix, self.values.dtype)[self.pairs[:, 0], self.pairs[:, 1]]
        return eqx.tree_at(lambda c: c.values, self, values)

    def dot(self, other: Couplings) -> Float[Array, ""]:
        """Scalar product over the edges."""
        assert isinstance(other, EdgeCouplings)
        return jnp.vdot(self.values, other.values)

    def mask(self) -> Bool[Array, "N N"]:
        """True where two units are coupled; InputError where the mask does not fit."""
        check_dense(self.units)
        i, j = self.pairs.T
        mask = jnp.zeros((self.units.total, self.units.total), bool)
        return mask.at[i, j].set(True).at[j, i].set(True)

    def count(self) -> int:
        """Number of edges."""
        return int(self.pairs.shape[0])


def checked_pairs(pairs: np.ndarray, units: Units, name: str = "pairs") -> Int[np.ndarray, "edges 2"]:
    """(edges, 2) pairs as int32, the smaller unit first; InputError with the first invalid pair."""
    given = np.asarray(pairs)
    if given.ndim != 2 or given.shape[1] != 2:
        raise InputError(f"{name} have shape {given.shape}: give (edges, 2), two unit numbers a row")
    whole_numbers = given.dtype.kind in "iu" or (
        given.dtype.kind == "f" and bool(np.isfinite(given).all()) and bool((given == np.round(given)).all())
    )
    require(whole_numbers, f"{name} are no whole numbers: give the numbers of units, 0 to {units.total - 1}")
    given = given.astype(np.int64)
    for i, j in given[((given < 0) | (given >= units.total)).any(1)][:1]:
        raise InputError(f"{name} name ({i}, {j}), but units are 0 to {units.total - 1}: leave it out")
    for i, _ in given[given[:, 0] == given[:, 1]][:1]:
        raise InputError(f"{name} couple unit {i} to itself: leave it out, use J2")
    ordered = np.sort(given, axis=1)
    numbers = np.sort(ordered @ [units.total, 1])
    for number in numbers[1:][numbers[1:] == numbers[:-1]][:1]:
        i, j = divmod(int(number), units.total)
        raise InputError(f"{name} hold ({i}, {j}) twice: give each pair once, in either order")
    return ordered.astype(np.int32)
