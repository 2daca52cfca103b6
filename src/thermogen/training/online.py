"""The online rule without its cost: descent after every step, computed exactly for many steps at a time.

The noising path does not depend on the parameters, so within a stretch of steps all states x_k are known
beforehand and only the residuals r_k feel the updates. With plain descent, after the steps l < k,

    J_k = J_0 - rate sum_{l<k} (r_l x_l^T + x_l r_l^T)            (on the wired blocks, zero diagonal)

so the product J_k x_k needs only inner products of stored vectors: the matrix itself is written once per
stretch instead of once per step. This is the same sequence of updates, to rounding (tests), at a cost of
(stretch length) x N per step instead of N^2.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from thermogen.computer import Computer
from thermogen.couplings import BlockCouplings
from thermogen.couplings.blocks import ends
from thermogen.path import residuals


def online_stretch(
    computer: Computer,
    path: Float[Array, "stored batch N"],
    dt: Float[Array, ""],
    rate: float,
    delay: int,
    trained_biases: Bool[Array, " N"],
) -> tuple[Computer, Float[Array, "steps batch N"]]:
    """Plain descent applied after every `delay` steps along a stored stretch of noising.

    Returns the computer after the stretch and the residuals that each step saw. Needs fully wired block
    couplings; the stretch should hold a whole number of delays. `rate` multiplies the gradient summed
    over the batch.
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
    gram = {role: x[:, units.part(role)] @ x[:, units.part(role)].T for role in roles}
    step_of_row = jnp.repeat(jnp.arange(steps), batch)

    def step(history, inputs):
        k, now, r = inputs
        learnt = (step_of_row < delay * (k // delay))[:, None].astype(x.dtype)
        seen = history * learnt  # residuals whose updates are already in force
        columns = k * batch + jnp.arange(batch)
        overlap_x = {role: gram[role][:, columns] * learnt for role in roles}
        overlap_r = {role: seen[:, units.part(role)] @ now[:, units.part(role)].T for role in roles}
        change = jnp.where(trained_biases, jnp.sum(seen, 0), 0) * jnp.ones_like(now)
        for role in roles:
            part = units.part(role)
            moved = jnp.zeros_like(now[:, part])
            for other in neighbours[role]:
                moved += overlap_x[other].T @ seen[:, part] + overlap_r[other].T @ x[:, part]
            if role in neighbours[role]:  # no unit is coupled to itself
                moved = moved - 2 * jnp.sum(seen[:, part] * x[:, part], 0) * now[:, part]
            change = change.at[:, part].add(moved)
        r = r - gain * rate * change
        history = jax.lax.dynamic_update_slice(history, r, (k * batch, 0))
        return history, None

    history, _ = jax.lax.scan(step, jnp.zeros_like(x), (jnp.arange(steps), ends_of_steps, unaware))
    learnt = couplings.outer(history, x)
    blocks = {link: block - rate * learnt.blocks[link] for link, block in couplings.blocks.items()}
    bias = computer.bias - rate * jnp.where(trained_biases, jnp.sum(history, 0), 0)
    after = Computer(
        computer.J2,
        computer.J4,
        bias,
        BlockCouplings(units, blocks),
        computer.mobility,
        computer.kT,
    )
    return after, history.reshape(steps, batch, total)
