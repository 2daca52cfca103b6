"""Couplings held as a list of edges: cost proportional to the number of couplers, for sparse wiring."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from thermogen.couplings.base import Couplings, Units


class EdgeCouplings(Couplings):
    """J as values on edges i < j, with each unit's neighbours tabulated up to the largest degree.

    `values` (edges,); `pairs` (edges, 2); `neighbours` and `edge_of` (N, degree): unit i meets unit
    `neighbours[i, d]` over edge `edge_of[i, d]`; unused places point to an edge of value 0.

    Cost of `apply`: N x largest degree.
    """

    values: Float[Array, " edges"]
    pairs: Int[Array, "edges 2"]
    neighbours: Int[Array, "N degree"]
    edge_of: Int[Array, "N degree"]
    units: Units = eqx.field(static=True)

    @classmethod
    def from_pairs(cls, units: Units, pairs: np.ndarray, dtype=jnp.float32) -> EdgeCouplings:
        """Zero couplings on the given (edges, 2) pairs of unit numbers, each pair once."""
        pairs = np.sort(np.asarray(pairs, np.int32).reshape(-1, 2), axis=1)
        edges = len(pairs)
        unit = pairs.T.reshape(-1)
        other = pairs[:, ::-1].T.reshape(-1)
        edge = np.tile(np.arange(edges, dtype=np.int32), 2)
        order = np.argsort(unit, kind="stable")
        unit, other, edge = unit[order], other[order], edge[order]
        degree = np.bincount(unit, minlength=units.total)
        place = np.arange(2 * edges) - np.repeat(np.cumsum(degree) - degree, degree)
        width = max(1, int(degree.max(initial=0)))
        neighbours = np.zeros((units.total, width), np.int32)
        edge_of = np.full((units.total, width), edges, np.int32)
        neighbours[unit, place] = other
        edge_of[unit, place] = edge
        return cls(
            values=jnp.zeros(edges, dtype),
            pairs=jnp.asarray(pairs),
            neighbours=jnp.asarray(neighbours),
            edge_of=jnp.asarray(edge_of),
            units=units,
        )

    def apply(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """The product J x by gathering each unit's neighbours."""
        weights = jnp.append(self.values, 0)[self.edge_of]
        return jnp.sum(x[..., self.neighbours] * weights, -1)

    def outer(self, r: Float[Array, "steps N"], x: Float[Array, "steps N"]) -> EdgeCouplings:
        """Learning signal per edge: sum_k (r_ki x_kj + r_kj x_ki)."""
        i, j = self.pairs[:, 0], self.pairs[:, 1]
        signal = jnp.sum(r[:, i] * x[:, j] + r[:, j] * x[:, i], 0)
        return eqx.tree_at(lambda c: c.values, self, signal)

    def matrix(self) -> Float[Array, "N N"]:
        """The dense matrix J."""
        i, j = self.pairs[:, 0], self.pairs[:, 1]
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
        """True where two units are coupled."""
        i, j = self.pairs[:, 0], self.pairs[:, 1]
        mask = jnp.zeros((self.units.total, self.units.total), bool)
        return mask.at[i, j].set(True).at[j, i].set(True)

    def count(self) -> int:
        """Number of edges."""
        return int(self.pairs.shape[0])
