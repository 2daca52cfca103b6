"""Exact moments of one unit in a ramped field: a one-dimensional Fokker–Planck equation, no sampled paths.

In the noising process the units are independent given their fields, so the averages that training needs are
averages over one unit in a field f that is ramped away,

    dp/dt = d/dx [ mu (2 J2 x + 4 J4 x^3 - a(t) f) p + mu kT dp/dx ],     p(x, 0) = equilibrium at a = 1.

Space: finite volumes with exponentially fitted (Scharfetter–Gummel) fluxes, which keep equilibria exact.
Time: Crank–Nicolson. Both are of second order; two resolutions are extrapolated to fourth.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from thermogen.errors import require
from thermogen.noising import Schedule

_DEPTH = 40.0  # the grid reaches to energies of this many kT above the minimum: e^-40 of the density is cut


class Moments(NamedTuple):
    """Moments of a unit in fields f >= 0 (F,) at times t (T,); mean and slope change sign with f.

    ramp: a(t). mean: m(f, t) = E x. square: s(f, t) = E x^2. slope: g(f, t) = E (2 J2 x + 4 J4 x^3), in E0.
    weights: of the composite Simpson rule over `times`. error: the change that the extrapolation made, an
    upper estimate of the error of what is left.
    """

    fields: Float[np.ndarray, " F"]
    times: Float[np.ndarray, " T"]
    weights: Float[np.ndarray, " T"]
    ramp: Float[np.ndarray, " T"]
    mean: Float[np.ndarray, "F T"]
    square: Float[np.ndarray, "F T"]
    slope: Float[np.ndarray, "F T"]
    error: float


@lru_cache(maxsize=64)
def unit_moments(
    J2: float,
    J4: float,
    kT: float,
    mobility: float,
    schedule: Schedule,
    largest_field: float,
    *,
    fields: int = 33,
    cells: int = 300,
    steps: int = 320,
) -> Moments:
    """Moments of one unit with on-site J2, J4 (E0) in fields from 0 to `largest_field` (E0) along the ramp.

    `cells` and `steps` are those of the coarser of two grids; they give moments to about 1e-7. The schedule's
    dt plays no role: this is the limit dt -> 0. Cached.
    Raises InputError for a largest field that is not finite and positive.
    Cost: one tridiagonal solve of 2 x `cells` unknowns per field and fine step; 1 s on two cores.
    """
    require(
        bool(np.isfinite(largest_field)) and largest_field > 0,
        f"largest field = {largest_field}: give a positive number in E0",
    )
    field = np.linspace(0, largest_field, fields)
    times, weights = _nodes(schedule, steps, 1)
    reach = _reach(J2, J4, kT, largest_field)
    with jax.enable_x64(True):

        def march(finer: int) -> list[np.ndarray]:
            x = jnp.linspace(-reach, reach, finer * cells + 1)
            nodes = jnp.asarray(_nodes(schedule, steps, finer)[0])
            moments = _march(
                x,
                J2 * x**2 + J4 * x**4,
                jnp.asarray(field),
                schedule.ramp(nodes),
                jnp.diff(nodes),
                mobility,
                kT,
            )
            return [np.asarray(moment) for moment in moments]

        coarse, fine = march(1), march(2)
        ramp = np.asarray(schedule.ramp(jnp.asarray(times)))
    fine = [moment[:, ::2] for moment in fine]
    mean, square, cube = ((4 * b - a) / 3 for a, b in zip(coarse, fine, strict=True))
    error = max(float(np.abs(a - b).max()) / 3 for a, b in zip((mean, square, cube), fine, strict=True))
    return Moments(field, times, weights, ramp, mean, square, 2 * J2 * mean + 4 * J4 * cube, error)


@jax.jit
def _march(x, potential, fields, ramp, steps, mobility, kT):
    width = x[1] - x[0]
    rise = jnp.diff(potential) / kT
    diffusion = mobility * kT / width**2

    def rates(level):
        """Jump rates between neighbouring cells: (lower, diagonal, upper) bands of the generator."""
        z = rise - (level * fields)[:, None] * width / kT
        right, left = diffusion * _bernoulli(z), diffusion * _bernoulli(-z)
        zero = jnp.zeros((len(fields), 1))
        leaving = jnp.concatenate([right, zero], 1) + jnp.concatenate([zero, left], 1)
        return jnp.concatenate([zero, right], 1), -leaving, jnp.concatenate([left, zero], 1)

    def moments(p):
        return p @ x, p @ x**2, p @ x**3

    def step(p, inputs):
        before, after, dt = inputs
        lower, diagonal, upper = rates(before)
        padded = jnp.pad(p, ((0, 0), (1, 1)))
        known = p + dt / 2 * (diagonal * p + lower * padded[:, :-2] + upper * padded[:, 2:])
        lower, diagonal, upper = rates(after)
        bands = (-dt / 2 * lower, 1 - dt / 2 * diagonal, -dt / 2 * upper)
        p = jax.lax.linalg.tridiagonal_solve(*bands, known[..., None])[..., 0]
        return p, moments(p)

    p = jax.nn.softmax(-(potential - fields[:, None] * x) / kT, axis=1)
    first = moments(p)
    _, rest = jax.lax.scan(step, p, (ramp[:-1], ramp[1:], steps))
    return tuple(jnp.concatenate([one[None], more]).T for one, more in zip(first, rest, strict=True))


def _bernoulli(z):
    """z / (e^z - 1), smooth at 0."""
    small = jnp.abs(z) < 1e-5
    safe = jnp.where(small, 1.0, z)
    return jnp.where(small, 1 - z / 2 + z * z / 12, safe / jnp.expm1(safe))


def _nodes(schedule: Schedule, steps: int, finer: int) -> tuple[np.ndarray, np.ndarray]:
    """Times and Simpson weights; the kink at the end of the ramp is a node, `finer` divides every step."""
    kink = schedule.ramp_fraction * schedule.t_f
    ends = [0.0, kink, schedule.t_f] if schedule.ramp_fraction < 1 else [0.0, schedule.t_f]
    times, weights = [np.zeros(1)], [np.zeros(1)]
    for low, high in pairwise(ends):
        count = 2 * finer * max(1, round(steps * (high - low) / schedule.t_f / 2))
        rule = np.ones(count + 1)
        rule[1:-1:2], rule[2:-1:2] = 4, 2
        rule *= (high - low) / count / 3
        weights[-1][-1] += rule[0]
        times.append(np.linspace(low, high, count + 1)[1:])
        weights.append(rule[1:])
    return np.concatenate(times), np.concatenate(weights)


def _reach(J2: float, J4: float, kT: float, largest: float) -> float:
    """Largest |x| whose energy in the largest field is within reach of thermal motion."""
    top = 1.0
    while True:
        x = top * np.linspace(0, 1, 4001)
        depth = J2 * x**2 + J4 * x**4 - largest * x
        depth -= depth.min()
        if depth[-1] > 2 * _DEPTH * kT and np.argmin(depth) < 3000:
            return float(x[np.flatnonzero(depth < _DEPTH * kT)[-1] + 1])
        top *= 2
