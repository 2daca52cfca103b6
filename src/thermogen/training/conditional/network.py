"""Training of a small network that gives the coefficients of modes at any time and condition.

The exact loss is quadratic. Above its minimum M*, b* (`solve_modes`) it is, per condition and segment,

    tr(dM C' dM^T) + T |db + B dM mbar_B / T|^2,    dM = M - M*,  db = b - b*.

The network descends this loss for all conditions and segments, without trajectories.
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
from thermogen.noising import in_generation_order
from thermogen.training.conditional.modes import ModeStatistics, within

_SHOWN = 100
_TIMES = np.array([0.1, 0.5, 0.9])
"""Times of the loss within every segment: the network is smooth in time, its goal is not."""


class NetworkResult(NamedTuple):
    """The control, and the loss along training relative to that of one coupling set for all and all times.

    excess: every 100 steps, and at the end. 0 is the table itself, 1 its mean over conditions and segments.
    For a table that is not the minimum (ridge, pool) it is the distance in the metric of the loss.
    """

    control: ModeNetwork
    excess: Float[np.ndarray, " records"]


def train_network(
    key: Key[Array, ""],
    table: ModeTable,
    statistics: list[ModeStatistics],
    *,
    terms: int = 100,
    width: int = 128,
    depth: int = 2,
    steps: int = 3000,
    rate: float = 1e-2,
    progress: Callable[[int, float], None] | None = None,
) -> NetworkResult:
    """Train a perceptron of `depth` hidden layers of `width` units and the `terms` matrices that it weighs.

    `table` is the solution of `statistics`; its leading `terms` singular vectors are the start.
    `progress(step, excess)` is called every 100 steps. Raises InputError for terms, steps, width or depth
    below 1.
    Cost: per step conditions x segments x terms x (r^2 + N) multiply–adds.
    """
    for name, value in (("terms", terms), ("steps", steps), ("width", width), ("depth", depth)):
        require(value >= 1, f"{name} = {value}: give 1 or more")
    conditions, segments, modes, _ = table.mixing.shape
    basis = np.asarray(table.basis, float)
    goal_mixing = np.asarray(table.mixing, float).reshape(-1, modes, modes)
    goal_bias = np.asarray(table.bias, float).reshape(conditions * segments, -1)
    order = in_generation_order(statistics)
    second = np.stack([within(segment, basis)[0] for segment in order], 1).reshape(-1, modes, modes)
    mean = np.stack([segment.mean @ basis for segment in order], 1).reshape(-1, modes)
    duration = order[0].duration
    terms = min(terms, len(goal_bias))
    weight = np.repeat(np.asarray(table.weights, float), segments) / segments
    metric = _Metric.of(np.tensordot(weight, second, 1), weight @ mean, basis, duration)
    flat = metric.flat(goal_mixing, goal_bias)
    _, size, right = np.linalg.svd(flat, full_matrices=False)
    start = (right[:terms] * size[:terms, None] / len(flat) ** 0.5).astype(np.float32)
    network = ModeNetwork.perceptron(key, conditions, terms, width, depth)
    place = np.tile(((np.arange(segments)[:, None] + _TIMES) / segments).reshape(-1), conditions)
    number = np.repeat(np.arange(conditions), segments * len(_TIMES))
    values = goal_mixing, goal_bias, second, mean, weight, basis, place
    problem = _Problem(
        *map(_single, values), number=jnp.asarray(number), duration=duration, conditions=conditions
    )
    means = [np.broadcast_to(goal.mean(0), goal.shape) for goal in (goal_mixing, goal_bias)]
    unit = float(problem.excess(*map(_single, means)))
    require(unit > 0, "the table does not depend on time or condition: a network has nothing to learn")
    parameters: Any = (network, jnp.asarray(start))
    optimizer = optax.adam(optax.cosine_decay_schedule(rate, steps))
    state = optimizer.init(eqx.filter(parameters, eqx.is_inexact_array))
    records = []
    for step in range(steps):
        parameters, state, value = _descend(parameters, state, problem, metric, optimizer, unit)
        if step % _SHOWN == 0 or step == steps - 1:
            records.append(float(value))
            if progress is not None:
                progress(step + 1, records[-1])
    mixing, bias = metric.unflatten(parameters[1])
    shared = {name: getattr(table, name) for name in ("reference", "basis", "weights", "classes", "duration")}
    control = ModeNetwork(network=parameters[0], mixing=mixing, bias=bias, **shared)
    return NetworkResult(control, np.array(records))


def _single(values: np.ndarray) -> Array:
    return jnp.asarray(values, jnp.float32)


class _Problem(eqx.Module):
    """The exact loss above its minimum, for all conditions and segments at once.

    place: times t / t_f of the loss, and number: the condition, for each time of each segment and condition.
    """

    mixing: Array
    bias: Array
    second: Array
    mean: Array
    weight: Array
    basis: Array
    place: Array
    number: Array
    duration: float = eqx.field(static=True)
    conditions: int = eqx.field(static=True)

    def excess(self, mixing: Array, bias: Array) -> Array:
        """Weighted mean over conditions and segments."""
        dM, db = mixing - self.mixing, bias - self.bias
        shift = jnp.einsum("kab,kb->ka", dM, self.mean) @ self.basis.T / self.duration
        variance = jnp.einsum("kab,kbc,kac->k", dM, self.second, dM)
        return jnp.sum(self.weight * (variance + self.duration * jnp.sum((db + shift) ** 2, 1)))


class _Metric(eqx.Module):
    """Coordinates in which the loss of an average condition is a sum of squares.

    M C^1/2 and sqrt(T) (b + B M mbar / T), flattened. root, inverse: C^1/2, C^-1/2.
    """

    root: Array
    inverse: Array
    mean: Array
    basis: Array
    duration: float = eqx.field(static=True)

    @classmethod
    def of(cls, second: np.ndarray, mean: np.ndarray, basis: np.ndarray, duration: float) -> _Metric:
        size, vectors = np.linalg.eigh(second)
        size = np.sqrt(np.maximum(size, 1e-12 * size[-1]))
        root, inverse = (vectors * values @ vectors.T for values in (size, 1 / size))
        return cls(_single(root), _single(inverse), _single(mean), _single(basis), duration)

    def flat(self, mixing: np.ndarray, bias: np.ndarray) -> np.ndarray:
        """Coordinates of several (M, b)."""
        root, mean, basis = (np.asarray(values, float) for values in (self.root, self.mean, self.basis))
        shifted = bias + mixing @ mean @ basis.T / self.duration
        return np.concatenate([(mixing @ root).reshape(len(bias), -1), self.duration**0.5 * shifted], 1)

    def unflatten(self, flat: Array) -> tuple[Array, Array]:
        """(M, b) from their coordinates, M made symmetric."""
        modes = len(self.root)
        mixing = flat[:, : modes * modes].reshape(-1, modes, modes) @ self.inverse
        mixing = (mixing + mixing.mT) / 2
        shifted = flat[:, modes * modes :] / self.duration**0.5
        return mixing, shifted - mixing @ self.mean @ self.basis.T / self.duration


@eqx.filter_jit
def _descend(parameters, state, problem: _Problem, metric: _Metric, optimizer, unit: float):
    @eqx.filter_value_and_grad
    def loss(parameters):
        network, flat = parameters
        evaluated = jax.vmap(lambda c, s: evaluate(network, c[None], problem.conditions, s)[0])
        a = evaluated(problem.number, problem.place)
        shared = a.reshape(-1, len(_TIMES), a.shape[1])
        losses = [problem.excess(*metric.unflatten(shared[:, time] @ flat)) for time in range(len(_TIMES))]
        return sum(losses) / (len(_TIMES) * unit)

    value, gradient = loss(parameters)
    update, state = optimizer.update(gradient, state)
    return eqx.apply_updates(parameters, update), state, value
