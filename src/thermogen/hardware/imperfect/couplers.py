"""Imperfect couplers, for every way of holding couplings: limited, of few bits, in error, dead, one-sided."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from thermogen.couplings import (
    BlockCouplings,
    Couplings,
    EdgeCouplings,
    LowRankCouplings,
    ModeCouplings,
    NoCouplings,
)
from thermogen.couplings.blocks import ends
from thermogen.couplings.layout import PreparedBands, PreparedRows
from thermogen.errors import InputError
from thermogen.hardware.imperfect.imperfections import Imperfections, stream


@runtime_checkable
class Wires(Protocol):
    """What applies couplings: prepared ones, or couplers that differ in their two directions."""

    def apply(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """The product J x, sum_j J_ij x_j; J need not be symmetric."""
        ...


class DirectedModes(eqx.Module):
    """J = D M S^T: units are sensed through S (N, r) and driven through D (N, r), nodes coupled by M.

    In a perfect device S = D = B and M is symmetric. `mixing` may have leading axes, one M per sample.
    """

    sense: Float[Array, "N r"]
    drive: Float[Array, "N r"]
    mixing: Float[Array, "*batch r r"]

    def apply(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """The product J x = D (M (S^T x))."""
        return jnp.einsum("...ij,...j->...i", self.mixing, x @ self.sense) @ self.drive.T


def on_grid(values: Float[Array, "*shape"], bits: int | None) -> Float[Array, "*shape"]:
    """The nearest of 2^bits - 1 levels, zero among them, up to the largest value (None: as they are).

    D round(J / D),   D = max |J| / (2^(bits - 1) - 1);   for blocks the same as `couplings.quantised`.
    """
    if bits is None:
        return values
    largest = jnp.max(jnp.abs(values), initial=0)
    step = jnp.where(largest > 0, largest, 1) / (2 ** (bits - 1) - 1)
    return step * jnp.round(values / step)


def imperfect_couplings(key: Key[Array, ""], couplings: Couplings, imperfections: Imperfections) -> Wires:
    """The couplers of a device, laid out for many products. `key` is that of the device.

    In this order: values are clipped to the limited range, put on the grid, and multiplied by 1 + s z; dead
    couplers are 0; then each direction gets an error of its own. What is one coupler: a pair of units in
    blocks and edges; an entry of a factor in low-rank couplings, where what takes J_ii off is set for the
    stored factors; an entry of B, and of M for all conditions alike, in couplings through modes, where M of
    all conditions makes one block. Raises InputError for couplings held in another way.
    """
    kind = next((kind for kind in _KINDS if isinstance(couplings, kind)), None)
    if kind is None:
        raise InputError(
            f"{type(couplings).__name__} have no couplers that could be imperfect: give blocks, edges, "
            "low-rank factors or modes"
        )
    wires = _KINDS[kind](couplings, _Faults(key, imperfections))
    return wires if not imperfections.asymmetry else _one_sided(key, wires, imperfections.asymmetry)


class _Faults:
    """What happens to the couplers of a block, alike in both directions."""

    def __init__(self, key: Key[Array, ""], imperfections: Imperfections):
        self.key, self.imperfections = key, imperfections

    def stored(self, values: Array) -> Array:
        """What the device keeps of the values of a block."""
        if self.imperfections.coupling_limit < 1:
            bound = self.imperfections.coupling_limit * jnp.max(jnp.abs(values), initial=0)
            values = jnp.clip(values, -bound, bound)
        return on_grid(values, self.imperfections.bits)

    def factor(self, place: int, shape: tuple[int, ...], like: Array, mirrored: bool = False) -> Array:
        """What multiplies them: 1 + s z, or 0 where they are dead. `mirrored`: (j, i) as (i, j)."""

        def alike(values: Array) -> Array:
            return jnp.triu(values) + jnp.triu(values, 1).T if mirrored else values

        factor = jnp.ones(shape, like.dtype)
        if self.imperfections.coupling_error:
            z = alike(_normal(self.key, "coupling_error", place, shape, like))
            factor = factor + self.imperfections.coupling_error * z
        if self.imperfections.dead:
            lot = jax.random.fold_in(stream(self.key, "dead"), place)
            u = alike(jax.random.uniform(lot, shape, like.dtype))
            factor = jnp.where(u < self.imperfections.dead, 0, factor)
        return factor


def _blocks(couplings: BlockCouplings, faults: _Faults) -> Wires:
    number = {link: place for place, link in enumerate(sorted(couplings.blocks))}
    blocks = {
        link: faults.stored(block)
        * faults.factor(number[link], block.shape, block, len(set(ends(link))) == 1)
        for link, block in couplings.blocks.items()
    }
    return BlockCouplings(couplings.units, blocks, couplings.masks).prepared()


def _edges(couplings: EdgeCouplings, faults: _Faults) -> Wires:
    values = faults.stored(couplings.values) * faults.factor(0, couplings.values.shape, couplings.values)
    return couplings.with_values(values).prepared()


def _factors(couplings: LowRankCouplings, faults: _Faults) -> Wires:
    kept: list[dict[str, Array]] = [{}, {}]
    real: list[dict[str, Array]] = [{}, {}]
    number = {link: place for place, link in enumerate(sorted(couplings.left))}
    for link, left in couplings.left.items():
        right = couplings.right[link]
        kept[1][link] = faults.stored(right)
        real[1][link] = kept[1][link] * faults.factor(2 * number[link], right.shape, right)
        if len(set(ends(link))) == 1:
            # One coupler senses and drives: left is right times the sign and strength of each mode.
            strength = jnp.sum(left * right, 0) / jnp.maximum(jnp.sum(right * right, 0), 1e-30)
            kept[0][link], real[0][link] = kept[1][link] * strength, real[1][link] * strength
        else:
            kept[0][link] = faults.stored(left)
            real[0][link] = kept[0][link] * faults.factor(2 * number[link] + 1, left.shape, left)
    as_set, wires = (LowRankCouplings(couplings.units, *sides).prepared() for sides in (kept, real))
    return eqx.tree_at(lambda c: c.diagonal, wires, as_set.diagonal)


def _modes(couplings: ModeCouplings, faults: _Faults) -> Wires:
    basis, mixing = couplings.basis, couplings.mixing
    wired = faults.stored(basis) * faults.factor(0, basis.shape, basis)
    return DirectedModes(
        wired, wired, faults.stored(mixing) * faults.factor(1, mixing.shape[-2:], mixing, True)
    )


def _none(couplings: NoCouplings, faults: _Faults) -> Wires:
    return couplings


_KINDS: dict[type, Callable[..., Wires]] = {
    BlockCouplings: _blocks,
    EdgeCouplings: _edges,
    LowRankCouplings: _factors,
    ModeCouplings: _modes,
    NoCouplings: _none,
}


def _one_sided(key: Key[Array, ""], wires: Wires, s: float) -> Wires:
    """Every direction of a coupler times 1 + s z of its own: laid out, each has a place of its own."""

    def where(one):
        if isinstance(one, DirectedModes):
            return [one.sense, one.drive, one.mixing]
        if isinstance(one, PreparedBands):
            return [one.above, one.below]
        if isinstance(one, PreparedRows):
            return [one.weights]
        return [one.sense, one.drive] if hasattr(one, "sense") else [*getattr(one, "matrices", ())]

    found = where(wires)
    if not found:
        return wires
    # M of all conditions is set on the same couplers: the last two axes are the wiring.
    z = [_normal(key, "asymmetry", place, one.shape[-2:], one) for place, one in enumerate(found)]
    return eqx.tree_at(where, wires, [one * (1 + s * error) for one, error in zip(found, z, strict=True)])


def _normal(key: Key[Array, ""], name: str, place: int, shape: tuple[int, ...], like: Array) -> Array:
    return jax.random.normal(jax.random.fold_in(stream(key, name), place), shape, like.dtype)
