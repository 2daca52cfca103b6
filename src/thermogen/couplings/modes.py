"""Couplings through shared modes: one wiring of N x r, and a small matrix that couples the modes."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from thermogen.couplings.base import Couplings, Units, check_dense, narrowed, product
from thermogen.errors import InputError, require


class ModeCouplings(Couplings):
    """J = B M B^T with a fixed basis B (N, r) and a symmetric mixing matrix M (*batch, r, r), in E0.

    A mode is a summing node wired to all units by a column of B; M couples the nodes. Another M is another
    computer on the same wiring. Each sample of a batch may have its own M. J_ii need not vanish: the nodes
    act back on each unit, which adds J_ii / 2 to its J2_i; energies and forces include it.

    Cost of `apply`: 2 N r + r^2 multiply–adds.
    """

    units: Units = eqx.field(static=True)
    basis: Float[Array, "N r"]
    mixing: Float[Array, "*batch r r"]

    @property
    def batch(self) -> tuple[int, ...]:
        """Leading axes of the mixing matrices."""
        return self.mixing.shape[:-2]

    def apply(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """The product J x = B (M (B^T x))."""
        sensed = product(x, self.basis)
        return product(jnp.einsum("...ij,...j->...i", self.mixing, sensed), self.basis.T)

    def matrix(self) -> Float[Array, "N N"]:
        """The dense matrix J, with its diagonal. InputError if samples have couplings of their own."""
        if self.batch:
            raise InputError("each sample has couplings of its own: take the matrix of one condition")
        check_dense(self.units)
        return self.basis @ self.mixing @ self.basis.T

    def count(self) -> int:
        """Physical couplers: N r between units and nodes, r (r + 1) / 2 among the nodes."""
        modes = self.basis.shape[1]
        return self.units.total * modes + modes * (modes + 1) // 2

    def entries(self) -> int:
        """2 N r + r^2."""
        units, modes = self.basis.shape
        return 2 * units * modes + modes**2

    def count_full(self) -> int:
        """Number of pairs of units: the couplers without modes."""
        return self.units.total * (self.units.total - 1) // 2


@narrowed.register
def _(couplings: ModeCouplings) -> ModeCouplings:
    return ModeCouplings(couplings.units, couplings.basis.astype(jnp.bfloat16), couplings.mixing)


def through_modes(units: Units, count: int, dtype=jnp.float32) -> ModeCouplings:
    """All units coupled through `count` summing nodes, J = B M B^T: N r couplers; zero until trained.

    `training.solve` finds B and M. Raises InputError unless 1 <= count <= N.
    """
    require(1 <= count <= units.total, f"modes = {count}: give 1 to {units.total}, the number of units")
    return ModeCouplings(units, jnp.zeros((units.total, count), dtype), jnp.zeros((count, count), dtype))
