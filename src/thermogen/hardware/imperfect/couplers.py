"""Imperfect couplers of every kind of couplings: limited, of few bits, in error, dead, asymmetric."""

from __future__ import annotations

from collections.abc import Callable

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


Wires = Couplings | DirectedModes
"""Applied couplings: prepared ones, or couplers whose two directions differ; J need not be symmetric."""


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
    couplers are 0; then each direction gets an error of its own. One coupler is: a pair of units in blocks
    and edges; an entry of a factor in low-rank couplings, whose removed J_ii are those of the stored
    factors; an entry of B, and of M for all conditions alike, in couplings through modes, where M of all
    conditions makes one block. Raises InputError for other kinds of couplings.
    """
    kind = next((kind for kind in _KINDS if isinstance(couplings, kind)), None)
    if kind is None:
        raise InputError(
            f"{type(couplings).__name__} have no couplers that could be imperfect: give blocks, edges, "
            "low-rank factors or modes"
        )
    wires = _KINDS[kind](couplings, _Couplers(key, imperfections))
    return wires if not imperfections.asymmetry else _asymmetric(key, wires, imperfections.asymmetry)


class _Couplers:
    """The couplers of a block of values, alike in both directions."""

    def __init__(self, key: Key[Array, ""], imperfections: Imperfections):
        self.key, self.imperfections = key, imperfections

    def stored(self, values: Array) -> Array:
        """The values of a block as the device stores them."""
        if self.imperfections.coupling_limit < 1:
            bound = self.imperfections.coupling_limit * jnp.max(jnp.abs(values), initial=0)
            values = jnp.clip(values, -bound, bound)
        return on_grid(values, self.imperfections.bits)

    def real(self, place: int, values: Array, mirrored: bool = False) -> Array:
        """Stored values of block number `place` times 1 + s z, or 0 if they are dead.

        `mirrored`: (j, i) as (i, j). The last two axes of matrices are the couplers.
        """
        shape, factor = values.shape[-2:], 1

        def alike(draws: Array) -> Array:
            return jnp.triu(draws) + jnp.triu(draws, 1).T if mirrored else draws

        if self.imperfections.coupling_error:
            z = alike(_normal(self.key, "coupling_error", place, values))
            factor = factor + self.imperfections.coupling_error * z
        if self.imperfections.dead:
            dead_key = jax.random.fold_in(stream(self.key, "dead"), place)
            u = alike(jax.random.uniform(dead_key, shape, values.dtype))
            factor = jnp.where(u < self.imperfections.dead, 0, factor)
        return values * factor


def _blocks(couplings: BlockCouplings, couplers: _Couplers) -> Wires:
    place = {link: number for number, link in enumerate(sorted(couplings.blocks))}
    blocks = {
        link: couplers.real(place[link], couplers.stored(block), len(set(ends(link))) == 1)
        for link, block in couplings.blocks.items()
    }
    return BlockCouplings(couplings.units, blocks, couplings.masks).prepared()


def _edges(couplings: EdgeCouplings, couplers: _Couplers) -> Wires:
    return couplings.with_values(couplers.real(0, couplers.stored(couplings.values))).prepared()


def _factors(couplings: LowRankCouplings, couplers: _Couplers) -> Wires:
    stored: list[dict[str, Array]] = [{}, {}]
    real: list[dict[str, Array]] = [{}, {}]
    for link, left in couplings.left.items():
        right, place = couplings.right[link], sorted(couplings.left).index(link)
        stored[1][link] = couplers.stored(right)
        real[1][link] = couplers.real(2 * place, stored[1][link])
        if len(set(ends(link))) == 1:
            # One coupler senses and drives: left is right times the sign and strength of each mode.
            strength = jnp.sum(left * right, 0) / jnp.maximum(jnp.sum(right * right, 0), 1e-30)
            stored[0][link], real[0][link] = stored[1][link] * strength, real[1][link] * strength
        else:
            stored[0][link] = couplers.stored(left)
            real[0][link] = couplers.real(2 * place + 1, stored[0][link])
    as_stored, wires = (LowRankCouplings(couplings.units, *sides).prepared() for sides in (stored, real))
    return eqx.tree_at(lambda c: c.diagonal, wires, as_stored.diagonal)


def _modes(couplings: ModeCouplings, couplers: _Couplers) -> Wires:
    basis = couplers.real(0, couplers.stored(couplings.basis))
    return DirectedModes(basis, basis, couplers.real(1, couplers.stored(couplings.mixing), True))


_KINDS: dict[type, Callable[..., Wires]] = {
    BlockCouplings: _blocks,
    EdgeCouplings: _edges,
    LowRankCouplings: _factors,
    ModeCouplings: _modes,
    NoCouplings: lambda couplings, couplers: couplings,
}


def _asymmetric(key: Key[Array, ""], wires: Wires, s: float) -> Wires:
    """Every direction of a coupler times 1 + s z of its own: prepared couplings store both directions."""

    def arrays(wires):
        if isinstance(wires, DirectedModes):
            return [wires.sense, wires.drive, wires.mixing]
        if isinstance(wires, PreparedBands):
            return [wires.above, wires.below]
        if isinstance(wires, PreparedRows):
            return [wires.weights]
        return [wires.sense, wires.drive] if hasattr(wires, "sense") else [*getattr(wires, "matrices", ())]

    changed = [
        values * (1 + s * _normal(key, "asymmetry", place, values))
        for place, values in enumerate(arrays(wires))
    ]
    return eqx.tree_at(arrays, wires, changed) if changed else wires


def _normal(key: Key[Array, ""], name: str, place: int, like: Array) -> Array:
    """N(0, 1) numbers for an array. M of all conditions is set on the same couplers: its last two axes."""
    return jax.random.normal(jax.random.fold_in(stream(key, name), place), like.shape[-2:], like.dtype)
