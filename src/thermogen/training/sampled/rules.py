"""One training cycle: noising trajectories of a few images, and the change of the parameters they cause."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from thermogen.computer import Computer
from thermogen.couplings import BlockCouplings, as_pairs
from thermogen.couplings.base import ROLES
from thermogen.errors import InputError, require
from thermogen.langevin import sample_keys
from thermogen.noising import RampedField, Schedule
from thermogen.noising.stretches import over_noising
from thermogen.thermodynamics.path import Gradient, action_of_residuals, gradient_of_residuals, residuals
from thermogen.training.sampled.noise import Disturbance, TrainingNoise, residual_unit
from thermogen.training.sampled.online import online_stretch

RULES = ("batch", "online", "delayed")
"""When the gradient is applied: after the trajectory, after every step, after every `delay` steps."""

OPTIMIZERS = {
    "sgd": optax.sgd,
    "momentum": lambda rate: optax.sgd(rate, momentum=0.9),
    "adam": optax.adam,
    "rmsprop": optax.rmsprop,
}
"""Optimisers by name; 'sgd' is the published plain descent."""

_NOISE = (
    0x666C6177  # marks the key of the hardware's errors: the first numbers are what jax.random.split gives
)
_HISTORY = 50  # steps x trajectories between two updates of the stored matrix in the exact online recursion


@dataclass(frozen=True)
class Rule:
    """How parameters follow the gradient of the reverse action.

    name: 'batch', 'online' or 'delayed'. delay: steps between updates of the delayed rule.
    trajectories: noising trajectories averaged per cycle. rate: learning rate (None: 1e-3 / t_f, as
    published). optimizer: a name in `OPTIMIZERS`. visible_biases: train them too (published: hidden only).
    noise: of the hardware that trains.
    """

    name: str = "batch"
    delay: int = 10
    trajectories: int = 1
    rate: float | None = None
    optimizer: str = "sgd"
    visible_biases: bool = False
    noise: TrainingNoise = field(default_factory=TrainingNoise)

    def __post_init__(self) -> None:
        """Refuse values that make no rule."""
        if self.name not in RULES:
            raise InputError(f"unknown training rule {self.name!r}: choose one of {', '.join(RULES)}")
        if self.optimizer not in OPTIMIZERS:
            raise InputError(f"unknown optimizer {self.optimizer!r}: choose one of {', '.join(OPTIMIZERS)}")
        require(self.delay >= 1, f"delay = {self.delay}: give a number of steps of 1 or more")
        require(self.trajectories >= 1, f"trajectories = {self.trajectories}: give 1 or more per cycle")
        require(
            self.rate is None or (0 < self.rate < float("inf")),
            f"learning rate = {self.rate}: give a positive number",
        )

    def rate_in(self, schedule: Schedule) -> float:
        """The learning rate: the one given, or 1e-3 / t_f, the published 4e-4 at t_f = 2.5.

        Published as dt / t_f at dt = 1e-3. The gradient summed over a trajectory does not depend on dt, so
        neither may the rate: dt / t_f itself diverges at dt = 1e-2.
        """
        return 1e-3 / schedule.t_f if self.rate is None else self.rate

    @property
    def updates_every(self) -> int | None:
        """Steps between updates; None for once per trajectory."""
        return {"batch": None, "online": 1, "delayed": self.delay}[self.name]


class CycleResult(NamedTuple):
    """Parameters after a cycle, the optimiser's state, and the mean loss of its trajectories."""

    computer: Computer
    optimizer_state: PyTree
    loss: Float[Array, ""]
    final: Float[Array, "batch N"]


def parameters(computer: Computer) -> PyTree:
    """The trained arrays of a computer as an optax tree."""
    return eqx.filter((computer.couplings, computer.bias), eqx.is_inexact_array)


def trained_biases(rule: Rule, computer: Computer) -> Bool[Array, " N"]:
    """True for the units whose bias is trained."""
    return computer.units.mask(*(ROLES if rule.visible_biases else ("hidden", "output")))


def start_optimizer(rule: Rule, computer: Computer, schedule: Schedule) -> PyTree:
    """The optimiser's state before the first update."""
    return OPTIMIZERS[rule.optimizer](rule.rate_in(schedule)).init(parameters(computer))


def _updated(
    rule: Rule, computer: Computer, state: PyTree, gradient: Gradient, schedule: Schedule
) -> tuple[Computer, PyTree]:
    trained = jnp.where(trained_biases(rule, computer), gradient.bias / rule.trajectories, 0)
    slope = jax.tree.map(
        lambda g: g / rule.trajectories, eqx.filter(gradient.couplings, eqx.is_inexact_array)
    )
    optimizer = OPTIMIZERS[rule.optimizer](rule.rate_in(schedule))
    change, state = optimizer.update((slope, trained), state, parameters(computer))
    couplings, bias = eqx.apply_updates((computer.couplings, computer.bias), change)
    return eqx.tree_at(lambda c: (c.couplings, c.bias), computer, (couplings, bias)), state


def _zero_gradient(computer: Computer) -> Gradient:
    zero = jnp.zeros((1, computer.units.total), computer.bias.dtype)
    return Gradient(as_pairs(computer.couplings).outer(zero, zero), zero[0])


def _sum(a: Gradient, b: Gradient) -> Gradient:
    return jax.tree.map(lambda x, y: x + y if eqx.is_inexact_array(x) else x, a, b)


@eqx.filter_jit
def run_cycle(
    key: Key[Array, ""],
    computer: Computer,
    optimizer_state: PyTree,
    fields: Float[Array, "P N"],
    schedule: Schedule,
    rule: Rule,
    cycle: Int[Array, ""],
) -> CycleResult:
    """One cycle: trajectories number cycle * n .. cycle * n + n - 1, trajectory s of image s mod P.

        loss = (dt / t_f) x reverse action, averaged over the n trajectories;  N / 2 is its noise floor

    batch: theta -= rate x (sum over the trajectory of the gradient). online, delayed: the sum over one,
    or `delay`, steps is applied at once. With plain descent on fully wired blocks the online rule runs
    by an exact recursion in the residuals (`training.sampled.online`) at about the cost of the batch rule.
    """
    count, noise = rule.trajectories, rule.noise
    noise.check(computer.couplings)
    samples = cycle * count + jnp.arange(count)
    start_key, path_key = jax.random.split(key)
    keys = sample_keys(path_key, samples)
    control = RampedField(computer.uncoupled(), fields[samples % len(fields)], schedule)
    dt = jnp.asarray(schedule.dt, computer.bias.dtype)
    every = rule.updates_every
    zero = jnp.zeros((), computer.bias.dtype)
    trained = trained_biases(rule, computer)
    disturbance = Disturbance(noise, jax.random.fold_in(key, _NOISE), samples, computer)
    calm = disturbance.start(schedule.steps) if noise.residuals else zero
    unit = residual_unit(computer, dt)

    def mean_action(computer, r):
        return jnp.mean(action_of_residuals(computer, r, dt))

    def errors_of(memory, path, first):
        """What is wrong with the residuals of a stretch: nothing, for hardware without noise."""
        if not noise.residuals:
            return zero, memory
        return disturbance.errors(memory, first, len(path) - 1, unit)

    def update(computer, state, gradient, first):
        number = cycle * schedule.steps + first  # one for every update of a training
        gradient = disturbance.disturbed(gradient, unit, number)
        after, state = _updated(rule, computer, state, gradient, schedule)
        return eqx.tree_at(lambda c: c.couplings, after, disturbance.stored(after.couplings, number)), state

    if every is None:

        def accumulate(carry, path, first):
            gradient, action, memory = carry
            r = residuals(computer, path, dt)
            error, memory = errors_of(memory, path, first)
            gradient = _sum(gradient, gradient_of_residuals(computer, r + error, path))
            return gradient, action + mean_action(computer, r), memory

        (gradient, action, _), final = over_noising(
            keys, start_key, samples, control, (_zero_gradient(computer), zero, calm), accumulate
        )
        computer, optimizer_state = update(computer, optimizer_state, gradient, 0)
    elif _by_recursion(rule, computer):
        length = every * max(1, _HISTORY // (every * count))
        rate = rule.rate_in(schedule) / count

        def recur(carry, path, first):
            computer, action, memory = carry
            error, memory = errors_of(memory, path, first)
            seen = error if noise.residuals else None
            after, r = online_stretch(computer, path, dt, rate, every, trained, seen)
            number = cycle * schedule.steps + first
            couplings = disturbance.descended(after.couplings, rate, -(-len(r) // every), unit, number)
            after = eqx.tree_at(lambda c: c.couplings, after, couplings)
            return after, action + mean_action(computer, r - error), memory

        (computer, action, _), final = over_noising(
            keys, start_key, samples, control, (computer, zero, calm), recur, length
        )
    else:

        def apply(carry, path, first):
            computer, state, action, memory = carry
            r = residuals(computer, path, dt)
            error, memory = errors_of(memory, path, first)
            gradient = gradient_of_residuals(computer, r + error, path)
            return *update(computer, state, gradient, first), action + mean_action(computer, r), memory

        (computer, optimizer_state, action, _), final = over_noising(
            keys, start_key, samples, control, (computer, optimizer_state, zero, calm), apply, every
        )
    return CycleResult(computer, optimizer_state, action * dt / schedule.t_f, final)


def _by_recursion(rule: Rule, computer: Computer) -> bool:
    """Whether the exact recursion covers this rule: plain descent, fully wired blocks, stored exactly."""
    wired = isinstance(computer.couplings, BlockCouplings) and not computer.couplings.masks
    short = (rule.updates_every or 0) * rule.trajectories <= _HISTORY
    return rule.optimizer == "sgd" and wired and short and rule.noise.bits is None
