"""Our own path under noise that is held for a while: what a circuit simulator integrates, to rounding.

    dx_i/dt = -mu dV/dx_i + sqrt(2 mu kT / step) xi_ik,     k step < t < (k + 1) step

With independent N(0, 1) numbers xi it tends to the Langevin equation as step -> 0. For a given set of them it
is an ordinary differential equation: two engines are compared path by path, without sampling error.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from thermogen.computer import Computer, in_float64
from thermogen.langevin import sample_keys
from thermogen.langevin.noise import standard_normal


def piecewise_noise(
    key: Key[Array, ""], samples: Int[np.ndarray, " n"], steps: int, units: int
) -> Float[np.ndarray, "n steps units"]:
    """N(0, 1) numbers of samples at steps, as the simulator draws them: by (key, sample, step) alone."""
    keys = sample_keys(key, jnp.asarray(samples))
    with jax.enable_x64(True):
        draw = jax.vmap(lambda k: standard_normal(keys, k, units, jnp.float64), out_axes=1)
        return np.asarray(draw(jnp.arange(steps)))


def reference_path(
    computer: Computer,
    start: Float[np.ndarray, "n N"],
    noise: Float[np.ndarray, "n steps N"] | None,
    step: float,
    steps: int,
    substeps: int = 50,
) -> Float[np.ndarray, "n steps N"]:
    """States at the end of every noise step, by the classical Runge-Kutta method in float64.

    noise: N(0, 1) numbers, held for `step` each; None: the deterministic path. Error of order
    (step / substeps)^4: 1e-10 at the defaults. Cost: four forces a substep.
    """
    with jax.enable_x64(True):
        wide = in_float64(computer).prepared()
        kicks = jnp.zeros((steps, *start.shape)) if noise is None else jnp.swapaxes(jnp.asarray(noise), 0, 1)
        size = jnp.sqrt(2 * wide.mobility * wide.kT / step)
        ends = _integrated(wide, jnp.asarray(start), size * kicks, jnp.asarray(step / substeps), substeps)
        return np.asarray(jnp.swapaxes(ends, 0, 1))


@eqx.filter_jit
def _integrated(computer: Computer, x: Array, kicks: Array, dt: Array, substeps: int) -> Array:
    def held(x, kick):
        def rate(x):
            return computer.mobility * computer.force(x) + kick

        def one(_, x):
            k1 = rate(x)
            k2 = rate(x + dt / 2 * k1)
            k3 = rate(x + dt / 2 * k2)
            k4 = rate(x + dt * k3)
            return x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

        x = jax.lax.fori_loop(0, substeps, one, x)
        return x, x

    return jax.lax.scan(held, x, kicks)[1]
