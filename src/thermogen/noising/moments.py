"""Exact moments of one unit in a ramped field: a one-dimensional Fokker–Planck equation, no sampled paths.

In the noising process the units are independent given their fields, so the averages that training needs are
averages over one unit in a field f that is ramped away,

    dp/dt = d/dx [ mu (2 J2 x + 4 J4 x^3 - a(t) f) p + mu kT dp/dx ],     p(x, 0) = equilibrium at a = 1.

Space: finite volumes with exponentially fitted (Scharfetter–Gummel) fluxes, which keep equilibria exact.
Time: Crank–Nicolson. Both are of second order; two resolutions are extrapolated to fourth.
Fields: Chebyshev nodes in z, f = F0 sinh(Z z), which are dense where a unit responds sharply; their number is
doubled until the interpolation in f is as good as the solutions.
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
_MOST_NODES = 512


class Moments(NamedTuple):
    """Moments of a unit in fields f > 0 (F,) at times t (T,); mean and slope change sign with f.

    The fields are the positive half of 2F Chebyshev nodes z, f = scale sinh(stretch z): see `at`.
    ramp: a(t). mean: m(f, t) = E x. square: s(f, t) = E x^2. slope: g(f, t) = E (2 J2 x + 4 J4 x^3), in E0.
    weights: (segments, T), of the composite Simpson rule over the times of each segment, 0 elsewhere.
    error: an upper estimate of the error of mean and square, of the solver and of interpolation together.
    """

    fields: Float[np.ndarray, " F"]
    times: Float[np.ndarray, " T"]
    weights: Float[np.ndarray, "segments T"]
    ramp: Float[np.ndarray, " T"]
    mean: Float[np.ndarray, "F T"]
    square: Float[np.ndarray, "F T"]
    slope: Float[np.ndarray, "F T"]
    error: float
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
        return self._replace(fields=np.asarray(fields, float), mean=mean, square=square, slope=slope)


def chebyshev_terms(z, count: int, parity: int):
    """T_parity(z), T_parity+2(z), ... one after the other, for NumPy and JAX arrays alike."""
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
    """z of the fields of `Moments`: the positive half of 2F Chebyshev nodes, in rising order."""
    return np.cos((np.arange(count)[::-1] + 0.5) * np.pi / (2 * count))


@lru_cache(maxsize=64)
def unit_moments(
    J2: float,
    J4: float,
    kT: float,
    mobility: float,
    schedule: Schedule,
    largest_field: float,
    *,
    segments: int = 1,
    cells: int = 300,
    steps: int = 320,
    tolerance: float = 1e-7,
) -> Moments:
    """Moments of one unit with on-site J2, J4 (E0) in fields up to `largest_field` (E0) along the ramp.

    `cells` and `steps` are those of the coarser of two grids; they give moments to about 1e-7. Field nodes
    are added until the interpolation in the field is good to `tolerance` of the largest moment. The
    schedule's dt plays no role: this is the limit dt -> 0. `segments` divides t_f into equal parts, each with
    its own quadrature. Cached.
    Raises InputError for a largest field that is not finite and positive, for less than one segment, and for
    a unit that responds too sharply to be tabulated.
    Cost: one tridiagonal solve of 2 x `cells` unknowns per field and fine step; 1 s on two cores.
    """
    require(
        bool(np.isfinite(largest_field)) and largest_field > 0,
        f"largest field = {largest_field}: give a positive number in E0",
    )
    require(segments >= 1, f"segments = {segments}: give 1 or more")
    # Fields over which the response at rest bends: kT over the width of the distribution.
    scale = min(largest_field, 2 * kT / resting_width(J2, J4, kT))
    stretch = float(np.arcsinh(largest_field / scale))
    times, weights = time_nodes(schedule, steps, 1, segments)
    reach = _reach(J2, J4, kT, largest_field)

    def solved(fields: np.ndarray, finer: int) -> list[np.ndarray]:
        x = jnp.linspace(-reach, reach, finer * cells + 1)
        nodes = jnp.asarray(time_nodes(schedule, steps, finer, segments)[0])
        rest = (schedule.ramp(nodes), jnp.diff(nodes), mobility, kT)
        moments = _march(x, J2 * x**2 + J4 * x**4, jnp.asarray(fields), *rest)
        return [np.asarray(moment)[:, ::finer] for moment in moments]

    count = 16
    with jax.enable_x64(True):
        ramp = np.asarray(schedule.ramp(jnp.asarray(times)))
        while True:
            fields = scale * np.sinh(stretch * field_nodes(count))
            coarse, fine = solved(fields, 1), solved(fields, 2)
            mean, square, cube = ((4 * b - a) / 3 for a, b in zip(coarse, fine, strict=True))
            spectrum = np.abs(np.concatenate([coefficients(mean, 1), coefficients(square, 0)], 1)).max(1)
            cut = 2 * float(spectrum[-2:].max())
            if cut <= tolerance * spectrum.max():
                break
            count *= 2
            require(
                count <= _MOST_NODES,
                f"a unit with J2 = {J2:g}, J4 = {J4:g} at kT = {kT:g} responds too sharply to fields up to "
                f"{largest_field:g} to be tabulated: raise kT or lower the amplitude",
            )
    error = max(float(np.abs(a - b).max()) / 3 for a, b in zip((mean, square), fine, strict=False)) + cut
    slope = 2 * J2 * mean + 4 * J4 * cube
    return Moments(fields, times, weights, ramp, mean, square, slope, error, scale, stretch)


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


def time_nodes(schedule: Schedule, steps: int, finer: int, segments: int) -> tuple[np.ndarray, np.ndarray]:
    """Times and Simpson weights by segment; its ends and the end of the ramp are nodes, `finer` divides."""
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


def resting_width(J2: float, J4: float, kT: float) -> float:
    """Standard deviation of a unit at equilibrium without field."""
    reach = _reach(J2, J4, kT, 0.0)
    x = np.linspace(-reach, reach, 2001)
    depth = J2 * x**2 + J4 * x**4
    weight = np.exp(-(depth - depth.min()) / kT)
    return float(np.sqrt((weight * x * x).sum() / weight.sum()))


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
