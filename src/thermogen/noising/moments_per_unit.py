"""Moments of many units that differ, each on a grid of its own, in one march: a chip as it was measured.

The equation, the discretisation and the extrapolation are those of `noising.moments`. What differs is the
layout: all fields of all units are lanes of one array, and the tridiagonal system of a step is eliminated
cell by cell, all lanes at once. The Crank-Nicolson step p -> p' needs its rates only once, since

    (1 + dt' A / 2) p' = p' + (dt' / dt) (p' - q),    q = (1 + dt A0 / 2) p,   (1 - dt A / 2) p' = q,

and its exponentials not at all: that of a cell in a field is the product of one of each.
This takes 4 ns per cell and step, a twentieth of what one kind of unit after the other takes.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from thermogen.errors import InputError
from thermogen.noising import Schedule
from thermogen.noising.moments import Moments, coefficients, field_nodes, resting_width, time_nodes

_LANES = 512  # worked on at a time by one core: four arrays of cells x lanes stay in its cache
_DEPTH = 30.0  # grids reach to energies of this many kT above the minimum: e^-30 of the density is cut
_PILOT = 64, 48  # cells and steps that are enough to see how many field nodes a unit needs
_NODES = *range(12, 34, 2), 40, 48, 64, 96, 128


class LaneMoments(NamedTuple):
    """Moments of lanes, each a unit in a field f of its own: E x, E x^2, E (2 J2 x + 4 J4 x^3), (L, T).

    times, weights, ramp: as in `noising.moments.Moments`. error: an upper estimate for each lane, (L,).
    """

    times: Float[np.ndarray, " T"]
    weights: Float[np.ndarray, "segments T"]
    ramp: Float[np.ndarray, " T"]
    mean: Float[np.ndarray, "L T"]
    square: Float[np.ndarray, "L T"]
    slope: Float[np.ndarray, "L T"]
    error: Float[np.ndarray, " L"]


def lane_moments(
    J2: Float[np.ndarray, " L"],
    J4: Float[np.ndarray, " L"],
    mobility: Float[np.ndarray, " L"],
    fields: Float[np.ndarray, " L"],
    kT: float,
    schedule: Schedule,
    *,
    segments: int = 1,
    cells: int = 260,
    steps: int = 240,
) -> LaneMoments:
    """Moments of units (J2, J4, fields in E0, mobility in 1 / (E0 time)) along the ramp, lane by lane.

    `cells` and `steps` are those of the coarser of two grids, which are extrapolated. They give moments as
    exact as those of `unit_moments`, since every lane has a grid of its own width.
    Cost: 5 x cells x steps x 4 ns = 1.2 ms a lane, shared by the cores. Memory: 9 x steps float64 a lane.
    """
    times, weights = time_nodes(schedule, steps, 1, segments)
    with jax.enable_x64(True):
        ramp = np.asarray(schedule.ramp(jnp.asarray(times)))
    coarse, fine = (
        _solved(J2, J4, mobility, np.abs(fields), kT, schedule, finer * cells, (steps, finer, segments))
        for finer in (1, 2)
    )
    error = np.abs(fine - coarse).max(2)[:2].max(0) / 3
    mean, square, cube = (4 * fine - coarse) / 3
    sign = np.sign(fields)[:, None]
    slope = sign * (2 * J2[:, None] * mean + 4 * J4[:, None] * cube)
    return LaneMoments(times, weights, ramp, sign * mean, square, slope, error)


def moments_per_unit(
    J2: Float[np.ndarray, " K"],
    J4: Float[np.ndarray, " K"],
    mobility: Float[np.ndarray, " K"],
    kT: float,
    schedule: Schedule,
    largest_field: float,
    *,
    segments: int = 1,
    tolerance: float = 1e-7,
) -> list[Moments]:
    """`noising.moments.unit_moments` of K units with J2, J4 (E0) and mobility (1 / (E0 time)) of their own.

    All K have the same times and weights; the number of field nodes is that which each unit needs, found on
    a rough grid. Raises InputError for a unit that responds too sharply to be tabulated.
    Cost: `lane_moments` in about 18 fields per unit: 1,296 units take 28 s of one core.
    """
    width = np.array([resting_width(float(a), float(b), kT) for a, b in zip(J2, J4, strict=True)])
    scale = np.minimum(largest_field, 2 * kT / width)
    stretch = np.arcsinh(largest_field / scale)

    def lanes(units: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """J2, J4, mobility and field at all nodes of some units, unit after unit."""
        z = np.concatenate([field_nodes(int(count)) for count in counts])
        of = np.repeat(units, counts)
        return J2[of], J4[of], mobility[of], scale[of] * np.sinh(stretch[of] * z)

    needed = np.zeros(len(J2), int)
    cells, steps = _PILOT
    for most in (48, _NODES[-1]):
        left = np.flatnonzero(needed == 0)
        if len(left):
            rough = _solved(
                *lanes(left, np.full(len(left), most)), kT, schedule, cells, (steps, 1, segments)
            ).reshape(3, len(left), most, -1)
            needed[left] = [_count(rough[0, place], rough[1, place], tolerance) for place in range(len(left))]
    sharp = np.flatnonzero(needed == 0)
    if len(sharp):
        raise InputError(
            f"a unit with J2 = {J2[sharp[0]]:g}, J4 = {J4[sharp[0]]:g} at kT = {kT:g} responds too sharply "
            f"to fields up to {largest_field:g} to be tabulated: raise kT or lower the amplitude"
        )
    every = lanes(np.arange(len(J2)), needed)
    solved = lane_moments(*every, kT, schedule, segments=segments)
    found = []
    for unit, last in enumerate(np.cumsum(needed)):
        part = slice(last - needed[unit], last)
        found.append(
            Moments(
                fields=every[3][part],
                times=solved.times,
                weights=solved.weights,
                ramp=solved.ramp,
                mean=solved.mean[part],
                square=solved.square[part],
                slope=solved.slope[part],
                error=float(solved.error[part].max() + tolerance * solved.square[part].max()),
                scale=float(scale[unit]),
                stretch=float(stretch[unit]),
            )
        )
    return found


def _count(mean: np.ndarray, square: np.ndarray, tolerance: float) -> int:
    """Field nodes that make interpolation good to `tolerance` of the largest moment; 0 for too many."""
    spectrum = np.abs(np.concatenate([coefficients(mean, 1), coefficients(square, 0)], 1)).max(1)
    for count in _NODES:
        if count <= len(spectrum) and 2 * spectrum[count - 2 :].max() <= tolerance * spectrum.max():
            return count
    return 0


def _edge(J2: np.ndarray, J4: np.ndarray, fields: np.ndarray, kT: float) -> np.ndarray:
    """x > 0 beyond the minimum where the energy in fields >= 0 is `_DEPTH` kT above it, by bisection."""

    def energy(x):
        return J2 * x**2 + J4 * x**4 - fields * x

    def bisected(beyond) -> np.ndarray:
        low, high = np.zeros_like(fields), np.ones_like(fields)
        while not (done := beyond(high)).all():
            high = np.where(done, high, 2 * high)
        for _ in range(50):
            middle = (low + high) / 2
            low, high = np.where(beyond(middle), (low, middle), (middle, high))
        return high

    lowest = bisected(lambda x: 2 * J2 * x + 4 * J4 * x**3 > fields)
    floor = energy(lowest)
    return bisected(lambda x: (x > lowest) & (energy(x) > floor + _DEPTH * kT))


def _solved(
    J2: np.ndarray,
    J4: np.ndarray,
    mobility: np.ndarray,
    fields: np.ndarray,
    kT: float,
    schedule: Schedule,
    cells: int,
    clock: tuple[int, int, int],
) -> Float[np.ndarray, "3 L T"]:
    """E x, E x^2, E x^3 of lanes with fields >= 0, in blocks shared by the cores.

    clock: steps, finer and segments of `time_nodes`; only every finer-th time is kept.
    """
    steps, finer, segments = clock
    nodes = time_nodes(schedule, steps, finer, segments)[0]
    s = np.linspace(-1, 1, cells + 1)
    low, high = -_edge(J2, J4, np.zeros_like(fields), kT), _edge(J2, J4, fields, kT)
    middle, half = (high + low) / 2, (high - low) / 2
    powers = np.stack([s, s**2, s**3])
    moments = np.empty((3, len(fields), (len(nodes) - 1) // finer + 1))
    block_size = min(_LANES, -(-len(fields) // 64) * 64)

    def block(first: int) -> None:
        lanes = slice(first, min(first + block_size, len(fields)))
        size = lanes.stop - lanes.start
        # The last block is filled up, so that all are one compiled program.
        a, b, mu, f, m, h = (
            np.resize(one[lanes], block_size) for one in (J2, J4, mobility, fields, middle, half)
        )
        x, width = m + h * s[:, None], h * (s[1] - s[0])
        potential = (a * x**2 + b * x**4) / kT
        depth = potential - f * x / kT
        p = np.exp(depth.min(0) - depth)
        with jax.enable_x64(True):  # in force in this thread alone
            out = _march(
                jnp.asarray(np.diff(potential, axis=0)),
                jnp.asarray(f * width / kT),
                jnp.asarray(mu * kT / width**2),
                jnp.asarray(p / p.sum(0)),
                jnp.asarray(powers),
                schedule.ramp(jnp.asarray(nodes[1:])),
                jnp.asarray(np.diff(nodes)),
            )
        one, two, three = np.asarray(out)[::finer, :, :size].transpose(1, 2, 0)
        m, h = m[:size, None], h[:size, None]
        moments[0, lanes] = m + h * one
        moments[1, lanes] = m**2 + 2 * m * h * one + h**2 * two
        moments[2, lanes] = m**3 + 3 * m**2 * h * one + 3 * m * h**2 * two + h**3 * three

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(block, range(0, len(fields), block_size)))
    return moments


@jax.jit
def _march(
    rise: Float[Array, "cells L"],
    tilt: Float[Array, " L"],
    rate: Float[Array, " L"],
    start: Float[Array, "points L"],
    powers: Float[Array, "3 points"],
    ramp: Float[Array, " steps"],
    intervals: Float[Array, " steps"],
) -> Float[Array, "times 3 L"]:
    """Moments of positions s in [-1, 1] at all times.

    rise: of the potential from point to point, in kT. tilt: that of the full field. rate: mu kT / width^2.
    start: the equilibrium at the full field, where A p = 0 and so q = p. ramp: a(t) after each step.
    """
    grown = jnp.exp(rise)
    zero = jnp.zeros_like(tilt)

    def step(known, inputs):
        level, half, ratio = inputs
        lean, pace = level * tilt, half * rate
        shrunk = jnp.exp(-lean)

        def eliminate(carry, row):
            right, left, factor, value = carry
            rise, grown, known = row
            z = rise - lean
            small = jnp.abs(z) < 1e-2
            y = z * z
            # z / (e^z - 1), by its series where e^z - 1 would lose digits.
            series = 1 - z / 2 + y * (1 / 12 - y * (1 / 720))
            bernoulli = jnp.where(small, series, z / jnp.where(small, 1.0, grown * shrunk - 1))
            next_right, next_left = pace * bernoulli, pace * (bernoulli + z)
            inverse = 1 / (1 + next_right + left - right * factor)
            value = (known + right * value) * inverse
            return (next_right, next_left, next_left * inverse, value), (next_left * inverse, value)

        carry, rows = jax.lax.scan(eliminate, (zero, zero, zero, zero), (rise, grown, known[:-1]))
        right, left, factor, value = carry
        last = (known[-1] + right * value) / (1 + left - right * factor)

        def substitute(p, row):
            factor, value = row
            p = value + factor * p
            return p, p

        _, others = jax.lax.scan(substitute, last, rows, reverse=True)
        p = jnp.concatenate([others, last[None]])
        return p + ratio * (p - known), powers @ p

    ratios = jnp.append(intervals[1:] / intervals[:-1], 1.0)
    _, moments = jax.lax.scan(step, start, (ramp, intervals / 2, ratios))
    return jnp.concatenate([(powers @ start)[None], moments])
