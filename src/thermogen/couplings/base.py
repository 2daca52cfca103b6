"""Units with roles, and the interface of every representation of couplings."""

from __future__ import annotations

import builtins
from abc import abstractmethod
from dataclasses import dataclass
from functools import singledispatch

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from thermogen.couplings.split_state import SplitState
from thermogen.errors import InputError, require

ROLES = ("visible", "hidden", "output")


@dataclass(frozen=True)
class Units:
    """The units of a computer by role.

    `visible` units carry the image, `hidden` units are never read, `output` units (optional) carry a
    label. A state x has `total` entries: visible first, then hidden, then output.
    """

    visible: int
    hidden: int = 0
    output: int = 0

    def __post_init__(self) -> None:
        """Refuse counts that make no computer."""
        for role in ROLES:
            count = getattr(self, role)
            require(count >= 0, f"{role} units = {count}: give a count of 0 or more")
        require(self.total > 0, "a computer needs at least one unit: give visible, hidden or output units")

    @property
    def total(self) -> int:
        """Number of units N."""
        return self.visible + self.hidden + self.output

    def slice(self, role: str) -> builtins.slice:
        """Slice of a state vector with the units of `role`."""
        require(role in ROLES, f"unknown role {role!r}: choose one of {', '.join(ROLES)}")
        start = sum(getattr(self, before) for before in ROLES[: ROLES.index(role)])
        return slice(start, start + getattr(self, role))

    def mask(self, *roles: str) -> Bool[Array, " N"]:
        """True for the units that have one of `roles`."""
        mask = jnp.zeros(self.total, bool)
        for role in roles:
            mask = mask.at[self.slice(role)].set(True)
        return mask


MOST_DENSE_UNITS = 16_384
"""Largest number of units for an N x N matrix: 1 GB in float32."""
MOST_DENSE_PAIRS = MOST_DENSE_UNITS**2
"""Largest number of entries of dense blocks together."""


def check_dense(units: Units, what: str = "the N x N matrix of couplings") -> None:
    """InputError if N x N numbers would not fit: use edges or factors for large computers."""
    total = units.total
    require(
        total <= MOST_DENSE_UNITS,
        f"{what} of {total:,} units would take {4e-9 * total**2:,.0f} GB: it is made for up to "
        f"{MOST_DENSE_UNITS:,} units; use products (apply), and values on edges or factors",
    )


def check_square(name: str, shape: tuple[int, ...], units: Units) -> None:
    """InputError unless the shape is (N, N)."""
    total = units.total
    require(
        shape == (total, total),
        f"{name} has shape {shape} but the computer has {total} units: give shape ({total}, {total})",
    )


def product(x: Float[Array, "*batch m"], matrix: Float[Array, "m n"]) -> Float[Array, "*batch n"]:
    """x matrix, summed in the type of x. A bfloat16 matrix makes it a product of bfloat16 numbers.

    bfloat16 has 8 bits of mantissa: x and matrix are each rounded to 1 part in 256, their products are exact
    and are added in the type of x. Matrix units (AMX, tensor cores) do this several times faster.
    """
    if matrix.dtype == x.dtype:
        return x @ matrix
    dimensions = (((x.ndim - 1,), (0,)), ((), ()))
    return lax.dot_general(
        x.astype(matrix.dtype), matrix, dimensions, preferred_element_type=jnp.dtype(x.dtype)
    )


class Couplings(eqx.Module):
    """A symmetric matrix J, J_ij = J_ji, of which products use the existing couplings alone.

    A new representation implements `apply`, `matrix` and `count`. One contract test in
    `tests/test_couplings.py` compares it with the dense matrix.
    """

    units: eqx.AbstractVar[Units]

    @property
    def batch(self) -> tuple[int, ...]:
        """Leading axes, if samples have couplings of their own; () otherwise."""
        return ()

    @abstractmethod
    def apply(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """The product J x, i.e. sum_j J_ij x_j for every unit i of every state in the batch."""

    @abstractmethod
    def matrix(self) -> Float[Array, "N N"]:
        """The dense matrix J."""

    @abstractmethod
    def count(self) -> int:
        """Number of physical couplers to build."""

    def count_full(self) -> int:
        """Number of pairs of coupled units: the couplers of the same J without modes."""
        return self.count()

    def entries(self) -> int:
        """Multiply-adds of one product J x in this representation."""
        return 2 * self.count()

    @property
    def cuts(self) -> tuple[int, ...]:
        """Bounds at which a time loop should cut the state (`SplitState`); (0, N) for no cut."""
        return (0, self.units.total)

    def for_split_state(self) -> Couplings:
        """Prepared couplings laid out for `apply_split`, if the state is to be cut."""
        return self

    def apply_split(self, x: SplitState) -> SplitState:
        """The product J x of a state cut at `cuts`."""
        return SplitState.of(self.apply(x.joined()), self.cuts)

    def prepared(self) -> Couplings:
        """The same couplings laid out for many products with `apply`; call it outside the time loop."""
        return self

    def energy(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch"]:
        """Coupling energy sum_{i<j} J_ij x_i x_j = x . J x / 2, in E0."""
        return jnp.sum(x * self.apply(x), -1) / 2


class PairCouplings(Couplings):
    """Couplings with one value for every coupled pair, which can be set and trained; J_ii = 0."""

    @abstractmethod
    def outer(self, r: Float[Array, "steps N"], x: Float[Array, "steps N"]) -> PairCouplings:
        """Couplings with entries sum_k (r_ki x_kj + r_kj x_ki) on the coupled pairs, 0 elsewhere.

        This is the local learning signal: a coupling needs only the two units that it joins.
        """

    @abstractmethod
    def with_matrix(self, matrix: Float[Array, "N N"]) -> PairCouplings:
        """Couplings of the same topology with the values of `matrix` (others are dropped)."""

    @abstractmethod
    def mask(self) -> Bool[Array, "N N"]:
        """True where two units are coupled (symmetric, False on the diagonal)."""

    def dot(self, other: Couplings) -> Float[Array, ""]:
        """Scalar product over the coupled pairs, sum_{i<j} J_ij K_ij, with couplings of the same topology."""
        return jnp.sum(self.matrix() * other.matrix()) / 2

    def count(self) -> int:
        """Number of coupled pairs."""
        return int(self.mask().sum()) // 2


class NoCouplings(PairCouplings):
    """J = 0: the units of the noising process, which are independent given their fields."""

    units: Units = eqx.field(static=True)

    def apply(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """Zero, for every unit."""
        return jnp.zeros_like(x)

    def outer(self, r: Float[Array, "steps N"], x: Float[Array, "steps N"]) -> NoCouplings:
        """No pair is coupled: nothing to learn."""
        return self

    def matrix(self) -> Float[Array, "N N"]:
        """The zero matrix."""
        return jnp.zeros((self.units.total, self.units.total))

    def with_matrix(self, matrix: Float[Array, "N N"]) -> NoCouplings:
        """No pair is coupled: every value is dropped."""
        return self

    def mask(self) -> Bool[Array, "N N"]:
        """False everywhere."""
        return jnp.zeros((self.units.total, self.units.total), bool)


def as_pairs(couplings: Couplings) -> PairCouplings:
    """The couplings. Raises InputError unless they have one value for every pair."""
    if not isinstance(couplings, PairCouplings):
        raise InputError(
            f"{type(couplings).__name__} cannot be set or trained pair by pair: train full couplings (e.g. "
            "published_couplings) and compress them, or train these exactly"
        )
    return couplings


class Prepared(Couplings):
    """Couplings for the inner loop of a simulation."""

    def matrix(self) -> Float[Array, "N N"]:
        """The dense matrix J (N, N), in E0. Raises InputError where it does not fit."""
        check_dense(self.units)
        dtype = jax.tree.leaves(eqx.filter(self, eqx.is_inexact_array))[0].dtype
        return self.apply(jnp.eye(self.units.total, dtype=dtype)).T

    def count(self) -> int:
        """Number of pairs with a coupling other than 0."""
        return int((self.matrix() != 0).sum()) // 2


@singledispatch
def narrowed(couplings: Couplings) -> Couplings:
    """Prepared couplings with products of bfloat16 numbers. InputError for couplings without them."""
    raise InputError(
        f"products in bfloat16 are not available for {type(couplings).__name__}: use full products"
    )
