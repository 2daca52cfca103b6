"""How couplings are wired: a coupler for each pair, or through summing nodes that sense and drive units.

With q the variables of the units and G the couplings,

    pairs    drive_i = sum_j G_ij q_j                  two transconductors a pair, or one passive element
    nodes    y = sense^T q,  z = M y,  drive_i = D z   N couplers a node and side, whatever N^2 / 2 is
"""

from __future__ import annotations

from functools import singledispatch
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from thermogen.couplings import Couplings, LowRankCouplings, ModeCouplings, NoCouplings


class Pairs(NamedTuple):
    """Couplers that drive unit `driven` by `values` times the variable of unit `sensed`, (couplers,)."""

    driven: Int[np.ndarray, " couplers"]
    sensed: Int[np.ndarray, " couplers"]
    values: Float[np.ndarray, " couplers"]


NO_PAIRS = Pairs(np.zeros(0, int), np.zeros(0, int), np.zeros(0))


class Wiring(NamedTuple):
    """J q = direct pairs + drive mixing sense^T q - diagonal q.

    direct: pairs of units. sense (N, R), drive (N, R): what each of R nodes adds up, and what it drives.
    mixing: (R, R), how nodes drive nodes; None: each drives the units itself. diagonal: (N,), what the nodes
    would give a unit of itself.
    """

    direct: Pairs
    sense: Float[np.ndarray, "N R"]
    drive: Float[np.ndarray, "N R"]
    mixing: Float[np.ndarray, "R R"] | None
    diagonal: Float[np.ndarray, " N"]

    @property
    def nodes(self) -> int:
        """Number of summing nodes: R, and as many again where nodes drive nodes."""
        return self.sense.shape[1] * (1 if self.mixing is None else 2)

    def received(self) -> Float[np.ndarray, " N"]:
        """Sum of the sizes of all couplers that drive a unit, (N,)."""
        direct = np.bincount(self.direct.driven, np.abs(self.direct.values), len(self.diagonal))
        return direct + np.abs(self.drive).sum(1) + np.abs(self.diagonal)

    def matrix(self) -> Float[np.ndarray, "N N"]:
        """The matrix that it makes."""
        total = len(self.diagonal)
        matrix = np.zeros((total, total))
        matrix[self.direct.driven, self.direct.sensed] = self.direct.values
        through = self.drive if self.mixing is None else self.drive @ self.mixing
        return matrix + through @ self.sense.T - np.diag(self.diagonal)


@singledispatch
def wiring(couplings: Couplings) -> Wiring:
    """The wiring of couplings, as they are held: factors by nodes, everything else pair by pair."""
    matrix, no_nodes = dense(couplings), np.zeros((couplings.units.total, 0))
    driven, sensed = np.nonzero(matrix)
    pairs = Pairs(driven, sensed, matrix[driven, sensed])
    return Wiring(pairs, no_nodes, no_nodes, None, np.zeros(len(matrix)))


@wiring.register
def _(couplings: NoCouplings) -> Wiring:
    no_nodes = np.zeros((couplings.units.total, 0))
    return Wiring(NO_PAIRS, no_nodes, no_nodes, None, np.zeros(len(no_nodes)))


@wiring.register
def _(couplings: ModeCouplings) -> Wiring:
    basis, mixing = (np.asarray(factor, float) for factor in (couplings.basis, couplings.mixing))
    return _within_swing(basis, basis, mixing, np.zeros(len(basis)))


def dense(couplings: Couplings) -> Float[np.ndarray, "N N"]:
    """What drives unit i for each unit j, in float64: the matrix, symmetric or not, as forces make it."""
    with jax.enable_x64(True):
        return np.asarray(couplings.apply(jnp.eye(couplings.units.total)), float).T


@wiring.register
def _(couplings: LowRankCouplings) -> Wiring:
    """Nodes of each link: those between two roles once for each direction, idle ones left out."""
    units = couplings.units
    sense, drive = [], []
    diagonal = np.zeros(units.total)

    def placed(role: str, factor: np.ndarray) -> np.ndarray:
        whole = np.zeros((units.total, factor.shape[1]))
        whole[units.slice(role)] = factor
        return whole

    for link, left in couplings.left.items():
        first, second = link.split("-")
        one, other = np.asarray(left, float), np.asarray(couplings.right[link], float)
        sense.append(placed(second, other))
        drive.append(placed(first, one))
        if first == second:
            diagonal[units.slice(first)] = (one * other).sum(1)
        else:  # the other direction of the same elements
            sense.append(placed(first, one))
            drive.append(placed(second, other))
    together = [np.concatenate(side, 1) if side else np.zeros((units.total, 0)) for side in (sense, drive)]
    used = np.any(together[0] != 0, 0) & np.any(together[1] != 0, 0)
    return _within_swing(together[0][:, used], together[1][:, used], None, diagonal)


def _within_swing(
    sense: np.ndarray, drive: np.ndarray, mixing: np.ndarray | None, diagonal: np.ndarray
) -> Wiring:
    """The same J with weights of sum 1 into every node, so that no node swings wider than the widest unit."""
    size = _sums(sense)
    sense = sense / size
    if mixing is None:
        return Wiring(NO_PAIRS, sense, drive * size, None, diagonal)
    received = _sums((mixing * size).T)
    return Wiring(NO_PAIRS, sense, drive * received, mixing * size / received[:, None], diagonal)


def _sums(weights: np.ndarray) -> np.ndarray:
    sums = np.abs(weights).sum(0)
    return np.where(sums > 0, sums, 1.0)
