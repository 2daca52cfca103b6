"""Onsager–Machlup path probabilities of stored trajectories, their ratio, and the local learning signal.

A stored path has shape (K + 1, batch, N): K Euler–Maruyama steps of `dt`. All functions are sums over
the K steps, so the results of the stretches of a long trajectory may be added. The mobility mu is one number
or one per unit.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from thermogen.computer import Computer, Control
from thermogen.couplings import PairCouplings, as_pairs


class Gradient(NamedTuple):
    """Gradient of the reverse action with respect to couplings and biases."""

    couplings: PairCouplings
    bias: Float[Array, " N"]


class PathRatio(NamedTuple):
    """ln of the forward over the reverse path probability, per trajectory (batch,), with its two terms.

    `total` is the difference of the two actions; `heat_part` + `force_part` is the same number computed
    from forces and displacements (see `log_ratio`).
    """

    total: Float[Array | np.ndarray, " batch"]
    heat_part: Float[Array | np.ndarray, " batch"]
    force_part: Float[Array | np.ndarray, " batch"]

    @property
    def identity_residual(self) -> Float[Array | np.ndarray, " batch"]:
        """total - heat_part - force_part: zero to rounding."""
        return self.total - self.heat_part - self.force_part


def _forward_gradients(control: Control, path: Array, dt: Array, first_step: Array | int) -> Array:
    """grad V(x_k, t_k) at the start of every step: (K, batch, N)."""
    numbers = first_step + jnp.arange(path.shape[0] - 1)
    return jax.vmap(lambda k, x: control.at(k * dt).gradient(x))(numbers, path[:-1])


def _reverse_gradients(
    control: Control, path: Array, dt: Array | float, first_step: Array | int = 0
) -> Array:
    """grad V(x_{k+1}) at the end of every step: (K, batch, N)."""
    middles = (first_step + jnp.arange(path.shape[0] - 1) + 0.5) * jnp.asarray(dt, path.dtype)
    return control.reverse_gradient(path[1:], middles)


def _shared_out(terms: Array, scale: Array) -> Array:
    """sum_k sum_i terms_ki / scale_i; the sum is divided if the units share one scale."""
    if jnp.ndim(scale) == 0:
        return jnp.sum(terms, (0, -1)) / scale
    return jnp.sum(terms / scale, (0, -1))


def _action(displacement: Array, drift: Array, computer: Computer, dt: Array | float) -> Array:
    return _shared_out((displacement + drift) ** 2, 4 * computer.mobility * computer.kT * dt)


def forward_action(
    control: Control,
    path: Float[Array, "stored batch N"],
    dt: Float[Array, ""] | float,
    first_step: Int[Array, ""] | int = 0,
) -> Float[Array, " batch"]:
    """-ln P(x_0 -> ... -> x_K | x_0) up to a constant, per trajectory.

        sum_k sum_i (dx_i + mu dV_i(x_k, t_k) dt)^2 / (4 mu kT dt)

    The omitted constant (K N / 2) ln(4 pi mu kT dt) depends on neither couplings nor biases.
    """
    gradients = _forward_gradients(control, path, jnp.asarray(dt, path.dtype), first_step)
    at_start = control.at(first_step * dt)
    return _action(path[1:] - path[:-1], at_start.mobility * gradients * dt, at_start, dt)


def reverse_action(
    computer: Control,
    path: Float[Array, "stored batch N"],
    dt: Float[Array, ""] | float,
    first_step: Int[Array, ""] | int = 0,
) -> Float[Array, " batch"]:
    """-ln P~(x_K -> ... -> x_0 | x_K) of the reversed path under `computer`, up to the same constant.

        sum_k sum_i (-dx_i + mu dV_i(x_{k+1}) dt)^2 / (4 mu kT dt)

    The gradient is taken at x_{k+1}, where the reversed step starts, of the segment of `computer` that is in
    force then; `first_step` is the number of the first step of the path. Source: PRL 136, 037101, Eq. 5.
    """
    gradients = _reverse_gradients(computer, path, dt, first_step)
    units = computer.at(0.0)
    return _action(path[:-1] - path[1:], units.mobility * gradients * dt, units, dt)


def residuals(
    computer: Computer, path: Float[Array, "stored batch N"], dt: Float[Array, ""] | float
) -> Float[Array, "steps batch N"]:
    """r_i = (-dx_i + mu dV_i(x_{k+1}) dt) / (2 kT): the error of the reversed step at each unit."""
    gradients = computer.gradient(path[1:])
    return (path[:-1] - path[1:] + computer.mobility * gradients * dt) / (2 * computer.kT)


def action_of_residuals(
    computer: Computer, r: Float[Array, "steps batch N"], dt: Float[Array, ""] | float
) -> Float[Array, " batch"]:
    """The reverse action from its residuals: (kT / dt) sum_k sum_i r_i^2 / mu_i."""
    if jnp.ndim(computer.mobility) == 0:
        return jnp.sum(r * r, (0, -1)) * computer.kT / (computer.mobility * dt)
    return jnp.sum(r * r / computer.mobility, (0, -1)) * computer.kT / dt


def gradient_of_residuals(
    computer: Computer, r: Float[Array, "steps batch N"], path: Float[Array, "stored batch N"]
) -> Gradient:
    """The local gradient from residuals, summed over steps and trajectories (see `local_gradient`)."""
    total = r.shape[-1]
    flat = r.reshape(-1, total)
    couplings = as_pairs(computer.couplings)
    return Gradient(couplings.outer(flat, path[1:].reshape(-1, total)), jnp.sum(flat, 0))


def local_gradient(
    computer: Computer, path: Float[Array, "stored batch N"], dt: Float[Array, ""] | float
) -> Gradient:
    """Gradient of the reverse action with respect to J and b, summed over steps and trajectories.

        d/dJ_ij = sum_k (r_i x'_j + r_j x'_i),   d/db_i = sum_k r_i,   x' = x_{k+1}

    Each coupling needs only its own two units, whose mobilities are in r alone. Checked against automatic
    differentiation (tests).
    Cost: one product J x and one outer product per coupled block and step.
    """
    return gradient_of_residuals(computer, residuals(computer, path, dt), path)


def log_ratio(
    reference: Control,
    computer: Control,
    path: Float[Array, "stored batch N"],
    dt: Float[Array, ""] | float,
    first_step: Int[Array, ""] | int = 0,
) -> PathRatio:
    """ln P_0[w | x_0] / P~[w~ | x_K], exactly, with its heat part and its force-squared part apart.

        total = -(1 / 2kT) sum_k dx_k . (g+ + g-)  +  (mu dt / 4kT) sum_k (|g+|^2 - |g-|^2)
        g+ = grad V_theta(x_{k+1}),   g- = grad V_0(x_k, t_k)

    For equal on-site potentials the first sum is (Q_0 + Q_theta) / 2kT - (1 / 4kT) sum_k dx_k . J dx_k, with
    the Stratonovich heats along the path; the last term has mean O(dt). The second sum does not vanish if the
    potentials differ, so a small ratio does not mean a small heat.
    Needs equal kT and mobility in `reference` and `computer` (their constants then cancel).
    """
    displacement = path[1:] - path[:-1]
    minus = _forward_gradients(reference, path, jnp.asarray(dt, path.dtype), first_step)
    plus = _reverse_gradients(computer, path, dt, first_step)
    units = computer.at(0.0)
    mobility, kT = units.mobility, units.kT
    # The two actions are about N K / 2 each: subtract term by term, so that their sums do not cancel.
    terms = (mobility * plus * dt - displacement) ** 2 - (mobility * minus * dt + displacement) ** 2
    total = _shared_out(terms, 4 * mobility * kT * dt)
    heat_part = -jnp.sum(displacement * (plus + minus), (0, -1)) / (2 * kT)
    squares = plus**2 - minus**2
    if jnp.ndim(mobility) == 0:
        force_part = jnp.sum(squares, (0, -1)) * mobility * dt / (4 * kT)
    else:
        force_part = jnp.sum(squares * mobility, (0, -1)) * dt / (4 * kT)
    return PathRatio(total, heat_part, force_part)
