"""A one-dimensional Fokker–Planck equation of many units in fields, marched through a ramp together.

Every unit in every field is a lane of one array, on a grid of its own width. The tridiagonal system of a
step is eliminated cell by cell, all lanes at once. The Crank–Nicolson step p -> p' needs its rates only once,

    (1 + dt' A / 2) p' = p' + (dt' / dt) (p' - q),    q = (1 + dt A0 / 2) p,   (1 - dt A / 2) p' = q,

and its exponentials not at all: that of a cell in a field is the product of one for the cell and one for
the field. A cell and step of a lane take 4 ns.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from thermogen.noising import Schedule

_LANES = 512  # lanes of a block: four arrays of cells x lanes stay in the cache of a core
_DEPTH = 30.0  # grids reach to energies of this many kT above the minimum: e^-30 of the density is cut


def time_nodes(schedule: Schedule, steps: int, finer: int, segments: int) -> tuple[np.ndarray, np.ndarray]:
    """Times and Simpson weights by segment; segment ends and the end of the ramp are nodes."""
    bounds = np.linspace(0, schedule.t_f, segments + 1)
    ends = np.unique(np.concatenate([bounds, [schedule.ramp_fraction * schedule.t_f]]).round(12))
    times, pieces = [np.zeros(1)], []
    for low, high in pairwise(ends):
        count = 2 * finer * max(2, round(steps * (high - low) / schedule.t_f / 2))
        rule = np.ones(count + 1)
        rule[1:-1:2], rule[2:-1:2] = 4, 2
        segment = int(np.searchsorted(bounds, (low + high) / 2)) - 1
        pieces.append((segment, sum(map(len, times)) - 1, rule * (high - low) / count / 3))
        times.append(np.linspace(low, high, count + 1)[1:])
    weights = np.zeros((segments, sum(map(len, times))))
    for segment, first, rule in pieces:
        weights[segment, first : first + len(rule)] += rule
    return np.concatenate(times), weights


def edge(J2: np.ndarray, J4: np.ndarray, fields: np.ndarray, kT: float) -> np.ndarray:
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


def solved(
    units: np.ndarray,
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
    J2, J4, mobility = units.T
    low, high = -edge(J2, J4, np.zeros_like(fields), kT), edge(J2, J4, fields, kT)
    middle, half = (high + low) / 2, (high - low) / 2
    powers = np.stack([s, s**2, s**3])
    moments = np.empty((3, len(fields), (len(nodes) - 1) // finer + 1))
    block_size = min(_LANES, -(-len(fields) // 64) * 64)

    def block(first: int) -> None:
        lanes = slice(first, min(first + block_size, len(fields)))
        size = lanes.stop - lanes.start
        # The last block is filled up, so that all are one compiled program.
        a, b, mu, f, m, h = (
            np.resize(values[lanes], block_size) for values in (J2, J4, mobility, fields, middle, half)
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
        first_power, second, third = np.asarray(out)[::finer, :, :size].transpose(1, 2, 0)
        m, h = m[:size, None], h[:size, None]
        moments[0, lanes] = m + h * first_power
        moments[1, lanes] = m**2 + 2 * m * h * first_power + h**2 * second
        moments[2, lanes] = m**3 + 3 * m**2 * h * first_power + 3 * m * h**2 * second + h**3 * third

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

    def step(q, inputs):
        level, half, ratio = inputs
        lean, pace = level * tilt, half * rate
        shrunk = jnp.exp(-lean)

        def eliminate(carry, row):
            right, left, factor, value = carry
            rise, grown, source = row
            z = rise - lean
            small = jnp.abs(z) < 1e-2
            y = z * z
            # z / (e^z - 1), by its series where e^z - 1 would lose digits.
            series = 1 - z / 2 + y * (1 / 12 - y * (1 / 720))
            bernoulli = jnp.where(small, series, z / jnp.where(small, 1.0, grown * shrunk - 1))
            next_right, next_left = pace * bernoulli, pace * (bernoulli + z)
            inverse = 1 / (1 + next_right + left - right * factor)
            value = (source + right * value) * inverse
            return (next_right, next_left, next_left * inverse, value), (next_left * inverse, value)

        carry, rows = jax.lax.scan(eliminate, (zero, zero, zero, zero), (rise, grown, q[:-1]))
        right, left, factor, value = carry
        last = (q[-1] + right * value) / (1 + left - right * factor)

        def substitute(p, row):
            factor, value = row
            p = value + factor * p
            return p, p

        _, inner = jax.lax.scan(substitute, last, rows, reverse=True)
        p = jnp.concatenate([inner, last[None]])
        return p + ratio * (p - q), powers @ p

    ratios = jnp.append(intervals[1:] / intervals[:-1], 1.0)
    _, moments = jax.lax.scan(step, start, (ramp, intervals / 2, ratios))
    return jnp.concatenate([(powers @ start)[None], moments])
