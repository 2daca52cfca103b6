"""Training of a small network that gives the coefficients of modes at any time and condition.

The exact loss is quadratic. Above its minimum M*, b* (`solve_modes`) it is, per condition and segment,

    tr(dM C' dM^T) + T |db + B dM mbar_B / T|^2,    dM = M - M*,  db = b - b*:

so the network is trained on the exact loss of all conditions and segments, without one trajectory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from thermogen.control import ModeNetwork, ModeTable
from thermogen.control.network import evaluate
from thermogen.errors import require
from thermogen.training.modes import ModeStatistics, within

_SHOWN = 100


class SteeringResult(NamedTuple):
    """The control, and the loss along training relative to that of one coupling set for all and all times.

    0 is the table itself, 1 its mean over conditions and segments. excess: every 100 steps, and at the end.
    """

    control: ModeNetwork
    excess: Float[np.ndarray, " records"]


def train_network(
    key: Key[Array, ""],
    table: ModeTable,
    known: list[ModeStatistics],
    *,
    terms: int = 48,
    width: int = 64,
    depth: int = 2,
    steps: int = 3000,
    rate: float = 3e-3,
    progress: Callable[[int, float], None] | None = None,
) -> SteeringResult:
    """Train a perceptron of `depth` hidden layers of `width` units and the `terms` matrices that it weighs.

    `known` are the statistics that `table` was solved from. Starts from the leading `terms` singular vectors
    of the table. `progress(step, excess)` is called now and then. Raises InputError for terms or steps below
    1. Cost: per step conditions x segments x terms x (r^2 + N) multiply–adds.
    """
    for name, value in (("terms", terms), ("steps", steps), ("width", width), ("depth", depth)):
        require(value >= 1, f"{name} = {value}: give 1 or more")
    conditions, segments, modes, _ = table.mixing.shape
    basis = np.asarray(table.basis, float)
    goal_mixing = np.asarray(table.mixing, float).reshape(-1, modes, modes)
    goal_bias = np.asarray(table.bias, float).reshape(conditions * segments, -1)
    order = known[::-1]  # generation undoes the last segment of noising first
    second = np.stack([within(one, basis)[0] for one in order], 1).reshape(-1, modes, modes)
    mean = np.stack([one.mean @ basis for one in order], 1).reshape(-1, modes)
    duration = order[0].duration
    terms = min(terms, len(goal_bias))
    flat = np.concatenate([goal_mixing.reshape(len(goal_bias), -1), goal_bias], 1)
    _, size, right = np.linalg.svd(flat, full_matrices=False)
    start = (right[:terms] * size[:terms, None] / len(flat) ** 0.5).astype(np.float32)
    network = ModeNetwork.perceptron(key, conditions, terms, width, depth)
    place = np.tile((np.arange(segments) + 0.5) / segments, conditions)
    number = np.repeat(np.arange(conditions), segments)
    weight = np.repeat(np.asarray(table.weights), segments) / segments
    values = goal_mixing, goal_bias, second, mean, weight, basis, place
    single = [jnp.asarray(one, jnp.float32) for one in values]
    problem = _Problem(single, jnp.asarray(number), duration, conditions)
    flattest = [np.broadcast_to(one.mean(0), one.shape) for one in (goal_mixing, goal_bias)]
    unit = float(problem.excess(*(jnp.asarray(one, jnp.float32) for one in flattest)))
    require(unit > 0, "the table does not depend on time or condition: a network has nothing to learn")
    parameters: Any = (
        network,
        jnp.asarray(start[:, : modes * modes].reshape(-1, modes, modes)),
        jnp.asarray(start[:, modes * modes :]),
    )
    optimizer = optax.adam(optax.cosine_decay_schedule(rate, steps))
    state = optimizer.init(eqx.filter(parameters, eqx.is_inexact_array))
    records = []
    for step in range(steps):
        parameters, state, value = _descend(parameters, state, problem, optimizer, unit)
        if step % _SHOWN == 0 or step == steps - 1:
            records.append(float(value))
            if progress is not None:
                progress(step + 1, records[-1])
    network, mixing, bias = parameters
    control = ModeNetwork(
        reference=table.reference,
        basis=table.basis,
        network=network,
        mixing=(mixing + mixing.mT) / 2,
        bias=bias,
        weights=table.weights,
        classes=table.classes,
        duration=table.duration,
    )
    return SteeringResult(control, np.array(records))


class _Problem(eqx.Module):
    """The exact loss above its minimum, for all conditions and segments at once."""

    known: list[Array]
    number: Array
    duration: float = eqx.field(static=True)
    conditions: int = eqx.field(static=True)

    @property
    def place(self) -> Array:
        """Middle of each segment, in parts of t_f."""
        return self.known[-1]

    def excess(self, mixing: Array, bias: Array) -> Array:
        """Weighted mean over conditions and segments."""
        goal_mixing, goal_bias, second, mean, weight, basis, _ = self.known
        off, lean = mixing - goal_mixing, bias - goal_bias
        shift = jnp.einsum("kab,kb->ka", off, mean) @ basis.T / self.duration
        curved = jnp.einsum("kab,kbc,kac->k", off, second, off)
        return jnp.sum(weight * (curved + self.duration * jnp.sum((lean + shift) ** 2, 1)))


@eqx.filter_jit
def _descend(parameters, state, problem: _Problem, optimizer, unit: float):
    @eqx.filter_value_and_grad
    def loss(parameters):
        network, mixing, bias = parameters
        evaluated = jax.vmap(lambda c, s: evaluate(network, c[None], problem.conditions, s)[0])
        a = evaluated(problem.number, problem.place)
        mixing = jnp.tensordot(a, (mixing + mixing.mT) / 2, 1)
        return problem.excess(mixing, a @ bias) / unit

    value, gradient = loss(parameters)
    update, state = optimizer.update(gradient, state)
    return eqx.apply_updates(parameters, update), state, value
