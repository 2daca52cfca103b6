"""The online rule at low cost: descent after every step, computed exactly for many steps at a time.

The noising path does not depend on the parameters: within a stretch of steps only the residuals r_k depend on
the updates, not the states x_k. With plain descent, after the steps l < k,

    J_k = J_0 - rate sum_{l<k} (r_l x_l^T + x_l r_l^T)            (on the wired blocks, zero diagonal)

so the product J_k x_k needs only inner products of stored vectors, and the matrix is written once a stretch.
The updates are the same to rounding, at a cost of (stretch length) x N per step instead of N^2.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from thermogen.computer import Computer
from thermogen.couplings import BlockCouplings
from thermogen.couplings.base import ROLES
from thermogen.couplings.blocks import ends
from thermogen.thermodynamics.path import residuals


def online_stretch(
    computer: Computer,
    path: Float[Array, "stored batch N"],
    dt: Float[Array, ""],
    rate: float,
    delay: int,
    trained_biases: Bool[Array, " N"],
    errors: Float[Array, "steps batch N"] | None = None,
) -> tuple[Computer, Float[Array, "steps batch N"]]:
    """Plain descent applied after every `delay` steps along a stored stretch of noising.

    Returns the computer after the stretch and the residuals of each step with their `errors`, which are part
    of the gradient. Needs fully wired block couplings and an integer number of delays in the stretch. `rate`
    multiplies the gradient summed over the batch.
    """
    couplings = computer.couplings
    assert isinstance(couplings, BlockCouplings)
    units = computer.units
    neighbours: dict[str, list[str]] = {}
    for a, b in map(ends, couplings.blocks):
        neighbours.setdefault(a, []).append(b)
        if a != b:
            neighbours.setdefault(b, []).append(a)

    steps, batch, total = path.shape[0] - 1, path.shape[1], path.shape[2]
    gain = computer.mobility * dt / (2 * computer.kT)
    x = path[1:].reshape(-1, total)
    states = {role: x[:, units.slice(role)] for role in sorted(neighbours)}
    gram = {role: values @ values.T for role, values in states.items()}
    # Inner products of the states, summed over the roles that a role is linked to: (rows, rows).
    linked = {role: sum((gram[b] for b in neighbours[role]), jnp.zeros(())) for role in states}
    step_of_row = jnp.repeat(jnp.arange(steps), batch)
    within = jnp.zeros(total, x.dtype)
    for role in states:
        within = within.at[units.slice(role)].set(2.0 if role in neighbours[role] else 0.0)

    def step(carry, inputs):
        history, in_force, waiting = carry
        k, now, r, error = inputs
        # Running sums of (r, r x) over the updates in force: for biases, and for the zero diagonal of J.
        due = k % delay == 0
        in_force = jnp.where(due, in_force + waiting, in_force)
        waiting = jnp.where(due, 0, waiting)
        applied = history
        if delay > 1:  # rows of later steps are zero; mask those of updates that are not applied yet
            applied = jnp.where((step_of_row < delay * (k // delay))[:, None], history, 0)
        overlap = {role: applied[:, units.slice(role)] @ now[:, units.slice(role)].T for role in states}
        change = jnp.where(trained_biases, in_force[0], 0) - within * in_force[1] * now
        forces = []
        for role in ROLES:
            if role not in neighbours:
                forces.append(jnp.zeros((batch, getattr(units, role)), x.dtype))
                continue
            by_x = jax.lax.dynamic_slice_in_dim(linked[role], k * batch, batch, 1)
            by_r = sum((overlap[b] for b in neighbours[role]), jnp.zeros(()))
            forces.append(by_x.T @ applied[:, units.slice(role)] + by_r.T @ states[role])
        r = r - gain * rate * (change + jnp.concatenate(forces, -1)) + error
        waiting = waiting + jnp.stack([jnp.sum(r, 0), jnp.sum(r * now, 0)])
        history = jax.lax.dynamic_update_slice(history, r, (k * batch, 0))
        return (history, in_force, waiting), None

    sums = jnp.zeros((2, total), x.dtype)
    start = (jnp.zeros_like(x), sums, sums)
    errors = jnp.zeros((), x.dtype) if errors is None else errors
    initial = residuals(computer, path, dt)  # with the parameters before the stretch
    inputs = (jnp.arange(steps), path[1:], initial, jnp.broadcast_to(errors, initial.shape))
    (history, *_), _ = jax.lax.scan(step, start, inputs)
    gradient = couplings.outer(history, x)
    blocks = {link: block - rate * gradient.blocks[link] for link, block in couplings.blocks.items()}
    bias = computer.bias - rate * jnp.where(trained_biases, jnp.sum(history, 0), 0)
    after = eqx.tree_at(lambda c: (c.bias, c.couplings), computer, (bias, BlockCouplings(units, blocks)))
    return after, history.reshape(steps, batch, total)
