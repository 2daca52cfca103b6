"""The wiring of couplings: a coupler for each pair, or summing nodes that sense and drive units.

With q the variables of the units and G the couplings,

    pairs    drive_i = sum_j G_ij q_j                  two transconductors a pair, or one passive element
    nodes    y = sense^T q,  z = M y,  drive_i = D z   N couplers a node and side, instead of N^2 / 2
"""

from __future__ import annotations

from functools import singledispatch
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from thermogen.couplings import Couplings, LowRankCouplings, ModeCouplings


class Pairs(NamedTuple):
    """Couplers that drive unit `driven` by `values` times the variable of unit `sensed`, (couplers,)."""

    driven: Int[np.ndarray, " couplers"]
    sensed: Int[np.ndarray, " couplers"]
    values: Float[np.ndarray, " couplers"]


class Wiring(NamedTuple):
    """J q = direct pairs + drive mixing sense^T q - diagonal q.

    direct: pairs of units. sense (N, R), drive (N, R): weights of units into each of R nodes, and of nodes
    onto units. mixing: (R, R), between nodes; None: each node drives units itself. diagonal: (N,), the
    self-coupling of a unit through the nodes, which is taken off.
    """

    direct: Pairs
    sense: Float[np.ndarray, "N R"]
    drive: Float[np.ndarray, "N R"]
    mixing: Float[np.ndarray, "R R"] | None
    diagonal: Float[np.ndarray, " N"]

    @property
    def nodes(self) -> int:
        """Number of summing nodes: R, and as many again if nodes drive nodes."""
        return self.sense.shape[1] * (1 if self.mixing is None else 2)

    def received(self) -> Float[np.ndarray, " N"]:
        """Sum of the sizes of all couplers that drive a unit, (N,)."""
        direct = np.bincount(self.direct.driven, np.abs(self.direct.values), len(self.diagonal))
        return direct + np.abs(self.drive).sum(1) + np.abs(self.diagonal)

    def matrix(self) -> Float[np.ndarray, "N N"]:
        """The matrix J of this wiring."""
        matrix = -np.diag(self.diagonal)
        matrix[self.direct.driven, self.direct.sensed] += self.direct.values
        through = self.drive if self.mixing is None else self.drive @ self.mixing
        return matrix + through @ self.sense.T


@singledispatch
def wiring(couplings: Couplings) -> Wiring:
    """The wiring of couplings as they are stored: factors through nodes, all others pair by pair."""
    with jax.enable_x64(True):  # what drives unit i for each unit j, symmetric or not
        matrix = np.asarray(couplings.apply(jnp.eye(couplings.units.total)), float).T
    driven, sensed = np.nonzero(matrix)
    no_nodes = np.zeros((len(matrix), 0))
    pairs = Pairs(driven, sensed, matrix[driven, sensed])
    return Wiring(pairs, no_nodes, no_nodes, None, np.zeros(len(matrix)))


@wiring.register
def _(couplings: ModeCouplings) -> Wiring:
    basis, mixing = (np.asarray(factor, float) for factor in (couplings.basis, couplings.mixing))
    return _within_swing(basis, basis, mixing, np.zeros(len(basis)))


@wiring.register
def _(couplings: LowRankCouplings) -> Wiring:
    """Nodes of each link: those between two roles once for each direction, without idle ones."""
    units = couplings.units
    no_nodes, diagonal = np.zeros((units.total, 0)), np.zeros(units.total)
    sense, drive = [no_nodes], [no_nodes]

    def add(sensed: str, sensing: np.ndarray, driven: str, driving: np.ndarray) -> None:
        for nodes, role, factor in ((sense, sensed, sensing), (drive, driven, driving)):
            weights = np.zeros((units.total, factor.shape[1]))
            weights[units.slice(role)] = factor
            nodes.append(weights)

    for link in couplings.left:
        first, second = link.split("-")
        left, right = (np.asarray(factors[link], float) for factors in (couplings.left, couplings.right))
        add(second, right, first, left)
        if first == second:
            diagonal[units.slice(first)] = (left * right).sum(1)
        else:  # the other direction of the same elements
            add(first, left, second, right)
    sensing, driving = np.concatenate(sense, 1), np.concatenate(drive, 1)
    used = np.any(sensing != 0, 0) & np.any(driving != 0, 0)
    return _within_swing(sensing[:, used], driving[:, used], None, diagonal)


def _within_swing(
    sense: np.ndarray, drive: np.ndarray, mixing: np.ndarray | None, diagonal: np.ndarray
) -> Wiring:
    """The same J with weights of sum 1 into every node, so that no node swings wider than the widest unit."""
    pairs = Pairs(np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    size = _sums(sense)
    sense = sense / size
    if mixing is None:
        return Wiring(pairs, sense, drive * size, None, diagonal)
    received = _sums((mixing * size).T)
    return Wiring(pairs, sense, drive * received, mixing * size / received[:, None], diagonal)


def _sums(weights: np.ndarray) -> np.ndarray:
    sums = np.abs(weights).sum(0)
    return np.where(sums > 0, sums, 1.0)
