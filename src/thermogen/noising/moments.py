"""Exact moments of units in a ramped field: a one-dimensional Fokker–Planck equation, no sampled paths.

In the noising process the units are independent given their fields, so the averages that training needs are
averages over one unit in a field f that is ramped away,

    dp/dt = d/dx [ mu (2 J2 x + 4 J4 x^3 - a(t) f) p + mu kT dp/dx ],     p(x, 0) = equilibrium at a = 1.

Space: finite volumes with exponentially fitted (Scharfetter–Gummel) fluxes, which keep equilibria exact.
Time: Crank–Nicolson. Both are of second order; two resolutions are extrapolated to fourth.
Fields: Chebyshev nodes in z, f = F0 sinh(Z z), which are dense where a unit responds sharply; as many as
the interpolation in f needs.

The march itself is in `thermogen.noising.fokker_planck`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from thermogen.errors import InputError, require
from thermogen.noising import Schedule
from thermogen.noising.fokker_planck import edge, solved, time_nodes

_PILOT = 64, 48  # cells and steps that are enough to see how many field nodes a unit needs
_NODES = *range(12, 34, 2), 40, 48, 64, 96, 128, 192, 256, 384, 512
_KEPT = 16  # tables of up to so many kinds of units are kept: 0.2 MB a kind


class UnitKind(NamedTuple):
    """On-site J2 and J4 (E0) and mobility (1 / (E0 time)) of a unit."""

    J2: float
    J4: float
    mobility: float = 1.0


@dataclass(frozen=True)
class Moments:
    """Moments in fields f (F,) at times t (T,), of one unit or of one unit per field.

    ramp: a(t). mean: m(f, t) = E x. square: s(f, t) = E x^2. slope: g(f, t) = E (2 J2 x + 4 J4 x^3), in E0.
    weights: (segments, T), of the composite Simpson rule over the times of each segment, 0 elsewhere.
    error: an upper estimate of the error of mean and square.
    """

    fields: Float[np.ndarray, " F"]
    times: Float[np.ndarray, " T"]
    weights: Float[np.ndarray, "segments T"]
    ramp: Float[np.ndarray, " T"]
    mean: Float[np.ndarray, "F T"]
    square: Float[np.ndarray, "F T"]
    slope: Float[np.ndarray, "F T"]
    error: Float[np.ndarray, " F"]


@dataclass(frozen=True)
class MomentTable(Moments):
    """Moments of one unit in the positive half of 2F Chebyshev nodes z, f = scale sinh(stretch z).

    Mean and slope change sign with f. `error` includes that of interpolation in the field.
    """

    scale: float
    stretch: float

    def at(self, fields: Float[np.ndarray, " G"]) -> Moments:
        """The moments in other fields within +- F0 sinh(Z), by interpolation; InputError beyond."""
        z = np.arcsinh(np.asarray(fields, float) / self.scale) / self.stretch
        beyond = np.flatnonzero(~(np.abs(z) <= 1))
        require(
            not len(beyond),
            f"field {fields[beyond[0]] if len(beyond) else 0:g} is beyond the table, which ends at "
            f"{self.scale * np.sinh(self.stretch):g}: ask unit_moments for a larger field",
        )
        odd, even = (np.stack(list(chebyshev_terms(z, len(self.fields), parity))) for parity in (1, 0))
        mean, slope = (odd.T @ coefficients(values, 1) for values in (self.mean, self.slope))
        square = even.T @ coefficients(self.square, 0)
        values = (mean, square, slope, np.full(len(z), self.error.max()))
        return Moments(np.asarray(fields, float), self.times, self.weights, self.ramp, *values)


def unit_moments(
    kinds: Sequence[UnitKind],
    kT: float,
    schedule: Schedule,
    largest_field: float,
    *,
    segments: int = 1,
    cells: int = 260,
    steps: int = 240,
    tolerance: float = 1e-7,
) -> list[MomentTable]:
    """Moments along the ramp in all fields up to `largest_field`, a table for every kind of unit.

        kinds           J2, J4 and mobility of the units
        kT              thermal energy, in E0
        schedule        t_f and the ramp; its dt plays no role, this is the limit dt -> 0
        largest_field   in E0
        segments        equal parts of t_f, each with a quadrature of its own
        cells, steps    of the coarser of two grids, which are extrapolated
        tolerance       of interpolation in the field, relative to the largest moment

    All tables have the same times and weights. A rough grid gives the number of field nodes of each unit.
    Tables of a few kinds are cached.
    Raises InputError for a largest field that is not finite and positive, for less than one segment, and for
    a unit that responds too sharply to be tabulated.
    Cost: `field_moments` in about 18 fields a kind; 0.5 s for one kind, 28 s of one core for 1,296.
    """
    require(
        bool(np.isfinite(largest_field)) and largest_field > 0,
        f"largest field = {largest_field}: give a positive number in E0",
    )
    require(segments >= 1, f"segments = {segments}: give 1 or more")
    tables = _tables if len(kinds) <= _KEPT else _tables.__wrapped__
    return list(tables(tuple(kinds), kT, schedule, largest_field, (steps, segments), cells, tolerance))


@lru_cache(maxsize=16)
def _tables(
    kinds: tuple[UnitKind, ...],
    kT: float,
    schedule: Schedule,
    largest_field: float,
    clock: tuple[int, int],
    cells: int,
    tolerance: float,
) -> tuple[MomentTable, ...]:
    units = np.array(kinds, float)
    # Fields over which the response at rest bends: kT over the width of the distribution.
    scale = np.minimum(largest_field, 2 * kT / resting_width(units[:, 0], units[:, 1], kT))
    stretch = np.arcsinh(largest_field / scale)

    def lanes(chosen: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Units and fields at all nodes of the chosen kinds, kind after kind."""
        z = np.concatenate([field_nodes(int(count)) for count in counts])
        of = np.repeat(chosen, counts)
        return units[of], scale[of] * np.sinh(stretch[of] * z)

    needed = np.zeros(len(units), int)
    for most in (48, 128, _NODES[-1]):
        left = np.flatnonzero(needed == 0)
        if len(left):
            rough = solved(
                *lanes(left, np.full(len(left), most)), kT, schedule, _PILOT[0], (_PILOT[1], 1, clock[1])
            ).reshape(3, len(left), most, -1)
            needed[left] = [_count(rough[0, place], rough[1, place], tolerance) for place in range(len(left))]
    if not needed.all():
        sharp = kinds[int(needed.argmin())]
        raise InputError(
            f"a unit with J2 = {sharp.J2:g}, J4 = {sharp.J4:g} at kT = {kT:g} responds too sharply to "
            f"fields up to {largest_field:g} to be tabulated: raise kT or lower the amplitude"
        )
    nodes = field_moments(
        *lanes(np.arange(len(units)), needed), kT, schedule, segments=clock[1], cells=cells, steps=clock[0]
    )
    shared = nodes.times, nodes.weights, nodes.ramp
    tables = []
    for kind, end in enumerate(np.cumsum(needed)):
        own = slice(end - needed[kind], end)
        mean, square, slope = (moments[own] for moments in (nodes.mean, nodes.square, nodes.slope))
        error = nodes.error[own] + tolerance * square.max()
        place = float(scale[kind]), float(stretch[kind])
        tables.append(MomentTable(nodes.fields[own], *shared, mean, square, slope, error, *place))
    return tuple(tables)


def field_moments(
    units: Float[np.ndarray, "F 3"],
    fields: Float[np.ndarray, " F"],
    kT: float,
    schedule: Schedule,
    *,
    segments: int = 1,
    cells: int = 260,
    steps: int = 240,
) -> Moments:
    """Moments in these fields (E0), each of its own unit: rows J2, J4, mobility.

    The other arguments are those of `unit_moments`.
    Cost: 5 x cells x steps x 4 ns = 1.2 ms a field, shared by the cores. Memory: 9 x steps float64 a field.
    """
    times, weights = time_nodes(schedule, steps, 1, segments)
    with jax.enable_x64(True):
        ramp = np.asarray(schedule.ramp(jnp.asarray(times)))
    coarse, fine = (
        solved(units, np.abs(fields), kT, schedule, finer * cells, (steps, finer, segments))
        for finer in (1, 2)
    )
    error = np.abs(fine - coarse).max(2)[:2].max(0) / 3
    mean, square, cube = (4 * fine - coarse) / 3
    sign = np.sign(fields)[:, None]
    slope = sign * (2 * units[:, :1] * mean + 4 * units[:, 1:2] * cube)
    return Moments(fields, times, weights, ramp, sign * mean, square, slope, error)


def chebyshev_terms(z, count: int, parity: int):
    """T_parity(z), T_parity+2(z), ..., for NumPy and JAX arrays."""
    double = 2 * (2 * z * z - 1)
    first, second = (z, z * (double - 1)) if parity else (z * 0 + 1, double / 2)
    for _ in range(count):
        yield first
        first, second = second, double * second - first


def coefficients(values: Float[np.ndarray, "F columns"], parity: int) -> Float[np.ndarray, "F columns"]:
    """Chebyshev coefficients (T_parity, T_parity+2, ...) of functions given at the fields of `Moments`."""
    count = len(values)
    # The nodes are cos((k + 1/2) pi / 2F), k = F-1 .. 0, in rising order.
    terms = np.stack(list(chebyshev_terms(field_nodes(count), count, parity)))
    scaled = terms @ values * (2 / count)
    if not parity:
        scaled[0] /= 2
    return scaled


def field_nodes(count: int) -> Float[np.ndarray, " F"]:
    """z of the fields of `MomentTable`: the positive half of 2F Chebyshev nodes, in rising order."""
    return np.cos((np.arange(count)[::-1] + 0.5) * np.pi / (2 * count))


def resting_width(
    J2: Float[np.ndarray, " K"], J4: Float[np.ndarray, " K"], kT: float
) -> Float[np.ndarray, " K"]:
    """Standard deviation of units at equilibrium without field."""
    x = edge(J2, J4, np.zeros_like(J2), kT) * np.linspace(0, 1, 1001)[:, None]
    depth = J2 * x**2 + J4 * x**4
    weight = np.exp((depth.min(0) - depth) / kT)
    weight[0] /= 2  # the density is even: half of it is enough
    return np.sqrt((weight * x * x).sum(0) / weight.sum(0))


def _count(mean: np.ndarray, square: np.ndarray, tolerance: float) -> int:
    """Field nodes that make interpolation good to `tolerance` of the largest moment; 0 for too many."""
    spectrum = np.abs(np.concatenate([coefficients(mean, 1), coefficients(square, 0)], 1)).max(1)
    for count in _NODES:
        if count <= len(spectrum) and 2 * spectrum[count - 2 :].max() <= tolerance * spectrum.max():
            return count
    return 0
