"""Exact equilibrium of uncoupled units: a product of one-dimensional Boltzmann densities."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from thermogen.computer import Computer
from thermogen.langevin.noise import sample_keys

_DEPTH = 40.0  # the grid spans energies up to this many kT above the minimum: e^-40 of the density is cut
_COARSE = 257
_TOGETHER = 4096  # units whose densities are tabulated at a time


def boltzmann_grid(
    J2: Float[Array, "*units"],
    J4: Float[Array, "*units"],
    bias: Float[Array, "*units"],
    kT: Float[Array, ""],
    points: int = 1025,
) -> tuple[Float[Array, "*units points"], Float[Array, "*units points"]]:
    """Grid and density exp(-(J2 x^2 + J4 x^4 + b x) / kT), largest value 1, down to e^-40.

    Returns x and density, each with a last axis of `points`. Any confining J2, J4 (double wells too).
    """
    J2, J4, bias = (value[..., None] for value in jnp.broadcast_arrays(J2, J4, bias))
    return _density_grid(lambda x: J2 * x**2 + J4 * x**4 + bias * x, bias.dtype, kT, points)


def equilibrium_grid(
    computer: Computer, points: int = 1025
) -> tuple[Float[Array, "N points"], Float[Array, "N points"]]:
    """Grid and density, largest value 1, of every unit of `computer` without its couplings."""

    def energy(x):
        x = jnp.broadcast_to(x, (computer.bias.shape[-1], x.shape[-1])).T
        return (computer.own_energy(x) + computer.bias * x).T

    return _density_grid(energy, computer.bias.dtype, computer.kT, points)


def _density_grid(energy: Callable[[Array], Array], dtype, kT: Array, points: int) -> tuple[Array, Array]:
    """energy(x) has the units in front of the last axis, x may lack them."""
    # A half-width beyond the density: twice the last power of two whose energy is within reach.
    octaves = 2.0 ** jnp.arange(-20, 20).astype(dtype)
    lowest = jnp.minimum(jnp.minimum(energy(octaves), energy(-octaves)).min(-1, keepdims=True), 0)
    reached = (jnp.minimum(energy(octaves), energy(-octaves)) - lowest) < _DEPTH * kT
    half = 2 * jnp.max(jnp.where(reached, octaves, octaves[0]), -1, keepdims=True)
    # Narrow it to the density, then lay the fine grid.
    x = half * jnp.linspace(-1, 1, _COARSE, dtype=dtype)
    depth = energy(x)
    inside = depth - depth.min(-1, keepdims=True) < _DEPTH * kT
    cell = 2 * half / (_COARSE - 1)
    low = jnp.min(jnp.where(inside, x, jnp.inf), -1, keepdims=True) - cell
    high = jnp.max(jnp.where(inside, x, -jnp.inf), -1, keepdims=True) + cell
    x = low + (high - low) * jnp.linspace(0, 1, points, dtype=dtype)
    depth = energy(x)
    return x, jnp.exp(-(depth - depth.min(-1, keepdims=True)) / kT)


def _quantiles(x: Array, density: Array, u: Array) -> Array:
    """Inverse of the cumulative distribution of a piecewise linear density at u, for one unit."""
    width = x[1] - x[0]
    mass = (density[1:] + density[:-1]) * (width / 2)
    cumulative = jnp.concatenate([jnp.zeros(1, x.dtype), jnp.cumsum(mass)])
    target = u * cumulative[-1]
    cell = jnp.clip(jnp.searchsorted(cumulative, target, side="right") - 1, 0, len(x) - 2)
    left, slope = density[cell], (density[cell + 1] - density[cell]) / width
    rest = jnp.maximum(target - cumulative[cell], 0)
    # Root of left s + slope s^2 / 2 = rest, in the form that is stable for slope -> 0.
    root = jnp.sqrt(jnp.maximum(left**2 + 2 * slope * rest, 0))
    return x[cell] + jnp.clip(2 * rest / jnp.maximum(left + root, jnp.finfo(x.dtype).tiny), 0, width)


def _uniform(key: Key[Array, ""], total: int, dtype) -> Float[Array, " units"]:
    """Uniform numbers; in float64 the 23 bits of the float32 ones, continued: a sample keeps its start."""
    coarse = jax.random.uniform(key, (total,), jnp.float32).astype(dtype)
    if dtype != jnp.float64:
        return coarse
    return coarse + 2.0**-23 * jax.random.uniform(jax.random.fold_in(key, 1), (total,), dtype)


@partial(jax.jit, static_argnames="points")
def sample_uncoupled(
    key: Key[Array, ""], computer: Computer, samples: Int[Array, " batch"], points: int = 1025
) -> Float[Array, "batch N"]:
    """Exact equilibrium states of the units of `computer` without their couplings.

        p(x_i) ~ exp(-(J2_i x_i^2 + J4_i x_i^4 + b_i x_i) / kT)

    or with `own_energy` of the computer. One row per sample number; row n depends on (key, n) alone. If the
    bias has a batch axis (batch, N), each sample has its own fields. The inverse cumulative distribution of a
    density tabulated at `points` places (linear in between): moments agree with quadrature to 1e-5 (tests).
    Cost: N x points exponentials, once for all samples or once per sample with its own fields. Memory: tables
    of 4,096 units, whatever N.
    """
    total = computer.units.total
    dtype = computer.bias.dtype
    keys = sample_keys(key, samples)
    u = jax.vmap(lambda k: _uniform(k, total, dtype))(keys)

    def of_units(units, u):
        x, density = equilibrium_grid(units, points)
        return jax.vmap(_quantiles, (0, 0, -1), -1)(x, density, u)

    def draw(bias, u):
        units = eqx.tree_at(lambda c: c.bias, computer.alone(0, total), bias)
        if total <= _TOGETHER:
            return of_units(units, u)
        blocks = -(-total // _TOGETHER)
        leaves, tree = jax.tree.flatten((units, u))
        # Filled up with copies of the last unit, so that all blocks have one shape.
        index = jnp.minimum(jnp.arange(blocks * _TOGETHER), total - 1).reshape(blocks, _TOGETHER)

        def block(numbers):
            cut = (leaf[..., numbers] if leaf.shape[-1:] == (total,) else leaf for leaf in leaves)
            return of_units(*jax.tree.unflatten(tree, cut))

        drawn = jax.lax.map(block, index)
        return jnp.moveaxis(drawn, 0, -2).reshape(*u.shape[:-1], -1)[..., :total]

    if computer.bias.ndim == 1:
        return draw(computer.bias, u)
    return jax.lax.map(lambda row: draw(*row), (jnp.broadcast_to(computer.bias, u.shape), u))


def mean_in_field(
    fields: Float[np.ndarray, "n units"], J2: float, J4: float, kT: float, points: int = 501
) -> Float[np.ndarray, "n units"]:
    """Mean position of single units in fields h (E0), float32: <x> of exp(-(J2 x^2 + J4 x^4 - h x) / kT).

    By quadrature at `points` fields and linear interpolation.
    """
    grid = np.linspace(fields.min(), fields.max(), points)
    J2s, J4s = jnp.full(points, J2, jnp.float32), jnp.full(points, J4, jnp.float32)
    density = boltzmann_grid(J2s, J4s, jnp.asarray(-grid, jnp.float32), jnp.asarray(kT, jnp.float32))
    x, density = (np.asarray(values, float) for values in density)
    mean = (x * density).sum(1) / density.sum(1)
    return np.interp(fields, grid, mean).astype(np.float32)
