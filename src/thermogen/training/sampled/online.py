"""The online rule without its cost: descent after every step, computed exactly for many steps at a time.

The noising path does not depend on the parameters, so within a stretch of steps all states x_k are known
beforehand and only the residuals r_k feel the updates. With plain descent, after the steps l < k,

    J_k = J_0 - rate sum_{l<k} (r_l x_l^T + x_l r_l^T)            (on the wired blocks, zero diagonal)

so the product J_k x_k needs only inner products of stored vectors: the matrix itself is written once per
stretch instead of once per step. This is the same sequence of updates, to rounding (tests), at a cost of
(stretch length) x N per step instead of N^2.
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

    Returns the computer after the stretch and the residuals that each step saw, with their `errors`, which
    are learnt from like the rest. Needs fully wired block couplings; the stretch should hold a whole number
    of delays. `rate` multiplies the gradient summed over the batch.
    """
    couplings = computer.couplings
    assert isinstance(couplings, BlockCouplings)
    units = computer.units
    links = [ends(link) for link in couplings.blocks]
    roles = sorted({role for link in links for role in link})
    neighbours = {role: [] for role in roles}
    for a, b in links:
        neighbours[a].append(b)
        if a != b:
            neighbours[b].append(a)

    steps, batch, total = path.shape[0] - 1, path.shape[1], path.shape[2]
    gain = computer.mobility * dt / (2 * computer.kT)
    unaware = residuals(computer, path, dt)  # as if nothing were learnt within the stretch
    ends_of_steps = path[1:]
    x = ends_of_steps.reshape(-1, total)
    parts = {role: units.slice(role) for role in roles}
    own = {role: x[:, part] for role, part in parts.items()}
    gram = {role: values @ values.T for role, values in own.items()}
    # What a role hears of the others, summed over the roles that it is linked to: (rows, rows).
    heard = {role: sum((gram[other] for other in neighbours[role]), jnp.zeros(())) for role in roles}
    step_of_row = jnp.repeat(jnp.arange(steps), batch)
    within = jnp.concatenate(
        [
            jnp.full(getattr(units, role), 2.0 if role in neighbours.get(role, ()) else 0.0, x.dtype)
            for role in ROLES
        ]
    )

    def step(carry, inputs):
        history, in_force, waiting = carry
        k, now, r, error = inputs
        # Running sums of (r, r x) over the updates in force: biases, and the diagonal that J has not.
        due = k % delay == 0
        in_force = jnp.where(due, in_force + waiting, in_force)
        waiting = jnp.where(due, 0, waiting)
        seen = history
        if delay > 1:  # rows of later steps are zero anyway; hide those whose update is still to come
            seen = jnp.where((step_of_row < delay * (k // delay))[:, None], history, 0)
        overlap = {role: seen[:, part] @ now[:, part].T for role, part in parts.items()}
        change = jnp.where(trained_biases, in_force[0], 0) - within * in_force[1] * now
        moved = []
        for role in ROLES:
            if role not in neighbours:
                moved.append(jnp.zeros((batch, getattr(units, role)), x.dtype))
                continue
            by_x = jax.lax.dynamic_slice_in_dim(heard[role], k * batch, batch, 1)
            by_r = sum((overlap[other] for other in neighbours[role]), jnp.zeros(()))
            moved.append(by_x.T @ seen[:, parts[role]] + by_r.T @ own[role])
        r = r - gain * rate * (change + jnp.concatenate(moved, -1)) + error
        waiting = waiting + jnp.stack([jnp.sum(r, 0), jnp.sum(r * now, 0)])
        history = jax.lax.dynamic_update_slice(history, r, (k * batch, 0))
        return (history, in_force, waiting), None

    sums = jnp.zeros((2, total), x.dtype)
    start = (jnp.zeros_like(x), sums, sums)
    errors = jnp.zeros((), x.dtype) if errors is None else errors
    known = (jnp.arange(steps), ends_of_steps, unaware, jnp.broadcast_to(errors, unaware.shape))
    (history, *_), _ = jax.lax.scan(step, start, known)
    learnt = couplings.outer(history, x)
    blocks = {link: block - rate * learnt.blocks[link] for link, block in couplings.blocks.items()}
    bias = computer.bias - rate * jnp.where(trained_biases, jnp.sum(history, 0), 0)
    after = eqx.tree_at(lambda c: (c.bias, c.couplings), computer, (bias, BlockCouplings(units, blocks)))
    return after, history.reshape(steps, batch, total)
