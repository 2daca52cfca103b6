"""What all couplings that are laid out for a time loop have in common: they are read, not trained."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from thermogen.couplings.base import Couplings
from thermogen.couplings.dense import check_dense

_READ_ONLY = "prepared couplings are read-only: use the couplings they came from"


class Prepared(Couplings):
    """Couplings for the inner loop of a simulation: `apply`, and the matrix to look at (read-only)."""

    def outer(self, r: Float[Array, "steps N"], x: Float[Array, "steps N"]) -> Couplings:
        """Not available: train the couplings this was prepared from."""
        raise NotImplementedError(_READ_ONLY)

    def matrix(self) -> Float[Array, "N N"]:
        """The dense matrix J (N, N), in E0. Raises InputError where it does not fit."""
        check_dense(self.units)
        dtype = jax.tree.leaves(eqx.filter(self, eqx.is_inexact_array))[0].dtype
        return self.apply(jnp.eye(self.units.total, dtype=dtype)).T

    def with_matrix(self, matrix: Float[Array, "N N"]) -> Couplings:
        """Not available: change the couplings this was prepared from."""
        raise NotImplementedError(_READ_ONLY)

    def mask(self) -> Bool[Array, "N N"]:
        """True where J is not zero."""
        return self.matrix() != 0
