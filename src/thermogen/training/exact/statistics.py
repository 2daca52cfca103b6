"""Statistics of images for exact training: moments of noising, averaged over all thermal noise.

In the noising process the units are independent given the image. With m, s, g the moments of one unit
(`noising.moments`) and u = 2 g - a f, brackets the mean over images, integrals over one segment of time,

    C_lj = int <m_l m_j> dt + delta_lj int <s_j - m_j^2> dt,    U_ij = int <u_i m_j> dt   (i != j),
    mbar = int <m> dt,   ubar = int <u> dt,   U_jj = int <a f_j m_j> dt - [<s_j>] / mu_j from begin to end.

Units may differ in J2, J4 and mobility mu. The mobility weighs the rows of the normal equations
(`training.exact.normal_equations`), not C and U.

The time integral of a product of two moments is a smooth kernel of the two fields, of rank 10 to 15: an image
adds that many columns to the factors of C and U.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from thermogen.computer import Computer
from thermogen.couplings import Units, check_dense
from thermogen.errors import InputError
from thermogen.noising import Schedule

_COLUMNS = 256  # factors of up to this many columns (or N / 2) are kept
_FACTORS = 250_000_000  # numbers in one factor at most: two of them, in float64, take 4 GB


@dataclass(frozen=True)
class Process:
    """The noising process of statistics; only statistics of one process can be merged.

    mobility: one number if all units share it, or one per unit. segment: which of the `segments` equal parts
    of t_f, in order of noising time.
    """

    J2: tuple[float, ...]
    J4: tuple[float, ...]
    kT: float
    mobility: float | tuple[float, ...]
    t_f: float
    ramp_fraction: float
    segment: int = 0
    segments: int = 1

    @property
    def duration(self) -> float:
        """Length of the segment."""
        return self.t_f / self.segments

    @classmethod
    def of(cls, computer: Computer, schedule: Schedule, segment: int = 0, segments: int = 1) -> Process:
        """The noising process of a computer's units; InputError for units that are not quartic."""
        computer.check_quartic("exact training")
        J2, J4 = (tuple(np.asarray(values, float).tolist()) for values in (computer.J2, computer.J4))
        kT, mobilities = float(computer.kT), np.asarray(computer.mobility, float).reshape(-1)
        shared = bool((mobilities == mobilities[0]).all())
        mobility = float(mobilities[0]) if shared else tuple(mobilities.tolist())
        return cls(J2, J4, kT, mobility, schedule.t_f, schedule.ramp_fraction, segment, segments)

    def check(self, other: Process, what: str, but: tuple[str, ...] = ()) -> None:
        """InputError naming the first thing, except those in `but`, in which `other` differs."""
        for name in vars(self):
            values = getattr(other, name), getattr(self, name)
            if values[0] != values[1] and name not in but:
                theirs, mine = (
                    f"that of {len(value)} units" if isinstance(value, tuple) else value for value in values
                )
                raise InputError(
                    f"{what} belong to noising with another {name}: {theirs}, not {mine}; compute them anew "
                    "for this computer and schedule"
                )


class Factored(NamedTuple):
    """E = M M^T and U = V M^T by factor M and response V, both (N, rank)."""

    factor: Float[Array | np.ndarray, "N rank"]
    response: Float[Array | np.ndarray, "N rank"]

    def dense(self) -> Dense:
        """The two products."""
        return Dense(self.factor @ self.factor.T, self.response @ self.factor.T)

    def lean(self) -> Factored:
        """The same E and U to a relative 1e-13 from fewer columns, in steps of 8; C has few directions."""
        factor, response = np.asarray(self.factor), np.asarray(self.response)
        grams = [columns.T @ columns for columns in (factor, response)]
        size, turn = np.linalg.eigh(sum(gram / max(np.trace(gram), 1e-300) for gram in grams))
        count = -(-int((size > 1e-13 * size[-1]).sum()) // 8) * 8
        kept = turn[:, ::-1][:, :count]
        return Factored(factor @ kept, response @ kept)

    def scaled(self, scale: Float[np.ndarray, " N"]) -> Factored:
        """E and U of the coordinates x_i / scale_i, whose forces are scale_i times those of x_i."""
        return Factored(self.factor / scale[:, None], self.response * scale[:, None])


class Dense(NamedTuple):
    """E and U as matrices, (N, N)."""

    second: Float[Array | np.ndarray, "N N"]
    cross: Float[Array | np.ndarray, "N N"]

    def dense(self) -> Dense:
        """Itself."""
        return self

    def scaled(self, scale: Float[np.ndarray, " N"]) -> Dense:
        """E and U of the coordinates x_i / scale_i, whose forces are scale_i times those of x_i."""
        return Dense(self.second / np.outer(scale, scale), self.cross * np.outer(scale, 1 / scale))


class UnitMeans(NamedTuple):
    """Means per unit, (N,): diagonal D of C = E + diag(D), mean mbar, drive ubar, stiffness U_jj."""

    diagonal: Float[np.ndarray, " N"]
    mean: Float[np.ndarray, " N"]
    drive: Float[np.ndarray, " N"]
    stiffness: Float[np.ndarray, " N"]


@dataclass(frozen=True)
class Statistics:
    """Means over `images` images: of pairs of units, factored or dense, and of units. See the module."""

    process: Process
    images: int
    pairs: Factored | Dense
    units: UnitMeans

    def second_moment(self) -> Float[np.ndarray, "N N"]:
        """C, the time integral of <x x^T>; InputError where N x N numbers do not fit."""
        check_dense(Units(len(self.units.mean)), "the N x N second moment")
        return np.asarray(self.pairs.dense().second) + np.diag(self.units.diagonal)

    def cross_moment(self) -> Float[np.ndarray, "N N"]:
        """U, with its diagonal; InputError where N x N numbers do not fit."""
        check_dense(Units(len(self.units.mean)), "the N x N second moment")
        cross = np.array(self.pairs.dense().cross)
        np.fill_diagonal(cross, self.units.stiffness)
        return cross

    def merged(self, other: Statistics) -> Statistics:
        """Statistics of both sets of images together; InputError if their noising differs."""
        return self._merged(other, in_place=False)

    def absorb(self, other: Statistics) -> Statistics:
        """What `merged` returns, bit for bit, in the memory of these two, which are used up."""
        return self._merged(other, in_place=True)

    def _merged(self, other: Statistics, in_place: bool) -> Statistics:
        self.process.check(other.process, "the statistics to be merged")
        total = self.images + other.images
        mine, theirs = self.images / total, other.images / total
        units = UnitMeans(*(mine * a + theirs * b for a, b in zip(self.units, other.units, strict=True)))
        a, b = self.pairs, other.pairs
        if isinstance(a, Factored) and isinstance(b, Factored):
            pairs = Factored(
                *(np.concatenate([x * mine**0.5, y * theirs**0.5], 1) for x, y in zip(a, b, strict=True))
            )
            if pairs.factor.shape[1] > most_columns(len(units.mean)):
                check_dense(Units(len(units.mean)), "the second moment of so many images")
                pairs = pairs.dense()
        elif in_place and isinstance(a, Dense) and isinstance(b, Dense):
            pairs = a
            for x, y in zip(a, b, strict=True):
                x *= mine
                y *= theirs
                x += y
        else:
            pairs = Dense(*(mine * x + theirs * y for x, y in zip(a.dense(), b.dense(), strict=True)))
        return Statistics(self.process, total, pairs, units)


def most_columns(total: int) -> int:
    """Columns up to which the factors of so many units are kept."""
    return max(_COLUMNS, min(total // 2, _FACTORS // total))
