"""Couplings as dense blocks between roles: products use the existing blocks alone."""

from __future__ import annotations

from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from thermogen.couplings.base import ROLES, Couplings, PairCouplings, Prepared, Units, narrowed, product
from thermogen.couplings.split_state import SplitState


def ends(link: str) -> tuple[str, str]:
    """The two roles that a link such as 'visible-hidden' joins."""
    first, second = link.split("-")
    return first, second


class BlockCouplings(PairCouplings):
    """J as one dense block per link, e.g. 'visible-hidden' (n_v, n_h) and 'hidden-hidden' (n_h, n_h).

    A block within one role is symmetric with a zero diagonal. `masks` marks the coupled pairs of links that
    are only partly wired (same shape as the block); a missing mask means all pairs.

    Cost of `apply`: one multiply–add per entry of the blocks in each direction.
    """

    blocks: dict[str, Array]
    masks: dict[str, Array]
    units: Units = eqx.field(static=True)

    def __init__(self, units: Units, blocks: Mapping[str, Array], masks: Mapping[str, Array] | None = None):
        """Take the blocks without checks; `from_links` and `from_mask` build checked ones."""
        self.units = units
        self.blocks = dict(blocks)
        self.masks = dict(masks or {})

    def apply(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """The product J x by blocks."""
        return self.prepared().apply(x)

    def prepared(self) -> PreparedBlocks:
        """One matrix per receiving role, with stacked sources: fewer and larger products in a time loop."""
        rows: dict[str, list[tuple[str, Array]]] = {role: [] for role in ROLES}
        for link, block in self.blocks.items():
            first, second = ends(link)
            rows[second].append((first, block))
            if first != second:
                rows[first].append((second, block.T))
        products = []
        for role in ROLES:
            # Sources in the order of the state vector, so that neighbours in it need no copy.
            sources = sorted(rows[role], key=lambda row: ROLES.index(row[0]))
            if sources and getattr(self.units, role):
                names = tuple(name for name, _ in sources)
                products.append((role, names, jnp.concatenate([block for _, block in sources])))
        return PreparedBlocks(
            matrices=tuple(matrix for *_, matrix in products),
            routes=tuple((role, names) for role, names, _ in products),
            units=self.units,
        )

    def entries(self) -> int:
        """Entries of the blocks, those between two roles twice."""
        return sum(block.size * len(set(ends(link))) for link, block in self.blocks.items())

    def outer(self, r: Float[Array, "steps N"], x: Float[Array, "steps N"]) -> BlockCouplings:
        """Learning signal by blocks: two products over the steps per link, one for a link within a role."""
        blocks = {}
        for link in self.blocks:
            a, b = (self.units.slice(role) for role in ends(link))
            signal = r[:, a].T @ x[:, b]
            blocks[link] = self.wired(link, signal + (signal.T if a == b else x[:, a].T @ r[:, b]))
        return type(self)(self.units, blocks, self.masks)

    def wired(self, link: str, values: Array) -> Array:
        """`values` on the coupled pairs of a link, 0 elsewhere."""
        if len(set(ends(link))) == 1:
            values = values - jnp.diag(jnp.diagonal(values))
        return jnp.where(self.masks[link], values, 0) if link in self.masks else values

    def matrix(self) -> Float[Array, "N N"]:
        """The dense matrix J, blocks in place."""
        return self._assembled(self.blocks)

    def with_matrix(self, matrix: Float[Array, "N N"]) -> BlockCouplings:
        """The blocks of `matrix` on this topology."""
        blocks = {}
        for link, block in self.blocks.items():
            a, b = (self.units.slice(role) for role in ends(link))
            blocks[link] = self.wired(link, jnp.asarray(matrix, block.dtype)[a, b])
        return type(self)(self.units, blocks, self.masks)

    def dot(self, other: Couplings) -> Float[Array, ""]:
        """Scalar product over the coupled pairs: a block within one role holds each pair twice."""
        assert isinstance(other, BlockCouplings)
        products = [
            jnp.vdot(block, other.blocks[link]) / (1 + (len(set(ends(link))) == 1))
            for link, block in self.blocks.items()
        ]
        return jnp.sum(jnp.stack(products))

    def mask(self) -> Bool[Array, "N N"]:
        """True where two units are coupled."""
        wired = {
            link: self.masks.get(link, jnp.ones(block.shape, bool)) for link, block in self.blocks.items()
        }
        return self._assembled(wired) & ~jnp.eye(self.units.total, dtype=bool)

    def _assembled(self, blocks: Mapping[str, Array]) -> Array:
        total = self.units.total
        dtype = next(iter(blocks.values())).dtype if blocks else jnp.float32
        matrix = jnp.zeros((total, total), dtype)
        for link, block in blocks.items():
            a, b = (self.units.slice(role) for role in ends(link))
            matrix = matrix.at[a, b].set(block).at[b, a].set(block.T)
        return matrix


class PreparedBlocks(Prepared):
    """Blocks stacked by receiving role, for the inner loop of a simulation (read-only)."""

    matrices: tuple[Array, ...]
    routes: tuple[tuple[str, tuple[str, ...]], ...] = eqx.field(static=True)
    units: Units = eqx.field(static=True)

    def for_split_state(self) -> BlocksForSplitState:
        """One matrix per block, for a state cut by role."""
        roles = tuple(role for role in ROLES if getattr(self.units, role))
        routes, matrices = [], []
        for (role, sources), matrix in zip(self.routes, self.matrices, strict=True):
            row = 0
            for name in sources:
                size = getattr(self.units, name)
                routes.append((roles.index(role), roles.index(name)))
                matrices.append(matrix[..., row : row + size, :])
                row += size
        return BlocksForSplitState(matrices=tuple(matrices), routes=tuple(routes), units=self.units)

    def apply(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """The product J x: one matrix product per receiving role."""
        received = {}
        for (role, sources), matrix in zip(self.routes, self.matrices, strict=True):
            first, last = self.units.slice(sources[0]), self.units.slice(sources[-1])
            if last.stop - first.start == matrix.shape[0]:
                source = x[..., first.start : last.stop]
            else:
                source = jnp.concatenate([x[..., self.units.slice(name)] for name in sources], -1)
            received[role] = product(source, matrix)
        sizes = {role: getattr(self.units, role) for role in ROLES}
        zeros = {role: jnp.zeros((*x.shape[:-1], size), x.dtype) for role, size in sizes.items()}
        return jnp.concatenate(list((zeros | received).values()), -1)


class BlocksForSplitState(Prepared):
    """One matrix per receiving and sending role, for a time loop that carries its state cut by role."""

    matrices: tuple[Array, ...]
    routes: tuple[tuple[int, int], ...] = eqx.field(static=True)
    units: Units = eqx.field(static=True)

    @property
    def cuts(self) -> tuple[int, ...]:
        """Where the roles begin, and N."""
        starts = [self.units.slice(role).start for role in ROLES if getattr(self.units, role)]
        return (*starts, self.units.total)

    def apply(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """The product J x by blocks."""
        return self.apply_split(SplitState.of(x, self.cuts)).joined()

    def apply_split(self, x: SplitState) -> SplitState:
        """The product J x of a state cut by role: one matrix product per block, no copy of the state."""
        received: dict[int, Array] = {}
        for (to, source), matrix in zip(self.routes, self.matrices, strict=True):
            term = product(x.arrays[source], matrix)
            received[to] = received[to] + term if to in received else term
        zeros = (jnp.zeros_like(array) for array in x.arrays)
        return SplitState(_after_all(tuple(received.get(to, zero) for to, zero in enumerate(zeros))))


@narrowed.register
def _(couplings: BlocksForSplitState) -> BlocksForSplitState:
    matrices = tuple(matrix.astype(jnp.bfloat16) for matrix in couplings.matrices)
    return BlocksForSplitState(matrices=matrices, routes=couplings.routes, units=couplings.units)


def _after_all(arrays: tuple[Array, ...]) -> tuple[Array, ...]:
    """The same arrays, each with a data dependence on all.

    The compiler may then overwrite an array of the state in place, since every product that reads it is
    finished. Without this it copies the state in each step. No number exceeds infinity, so 0 is added.
    """
    first = [jnp.abs(array.reshape(-1)[0]) > jnp.inf for array in arrays]
    none = jnp.any(jnp.stack(first))
    return tuple(array + none.astype(array.dtype) for array in arrays)
