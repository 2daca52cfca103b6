"""Couplings given by a small neural network: coefficients of modes as a function of time and condition."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from thermogen.computer import Computer, ReferenceControl
from thermogen.control.condition_set import ConditionSet
from thermogen.control.modes import check_modes
from thermogen.couplings import ModeCouplings
from thermogen.errors import require

_HARMONICS = 2
_TIMES = 5  # at which `computers` samples a control that changes at every step


class ModeNetwork(ConditionSet):
    """J(c, t) = B M(c, t) B^T, b(c, t) with (M, b) = sum_q a_q(c, t) (M_q, b_q), a = network(c, t).

    reference, basis, weights, classes, duration as in `ModeTable`; network: a perceptron from time features
    and the condition, one-hot, to q coefficients; mixing (q, r, r) and bias (q, N): the terms they weigh.
    """

    reference: Computer
    basis: Float[Array, "N r"]
    network: eqx.nn.MLP
    mixing: Float[Array, "q r r"]
    bias: Float[Array, "q N"]
    weights: Float[Array, " conditions"]
    classes: tuple[int, ...] = eqx.field(static=True)
    duration: float = eqx.field(static=True)  # pyright: ignore[reportIncompatibleMethodOverride]
    continuous = True

    def __check_init__(self) -> None:
        """Refuse terms for other units or modes."""
        check_modes(self, self.basis)
        total, modes = self.basis.shape
        terms = len(self.bias)
        require(
            self.mixing.shape == (terms, modes, modes) and self.bias.shape == (terms, total),
            f"the network weighs {self.mixing.shape} and {self.bias.shape}: give ({terms}, {modes}, {modes}) "
            f"and ({terms}, {total})",
        )

    @staticmethod
    def perceptron(key: Key[Array, ""], conditions: int, terms: int, width: int, depth: int) -> eqx.nn.MLP:
        """A network of the right shape, before training; tanh, smooth in time."""
        inputs = 1 + _HARMONICS + conditions
        return eqx.nn.MLP(inputs, terms, width, depth, activation=jnp.tanh, key=key)

    @property
    def operations(self) -> int:
        """Multiply-adds for one evaluation of the network and the sum of its terms."""
        layers = sum(layer.weight.size for layer in self.network.layers)
        return layers + self.mixing.size + self.bias.size

    def coefficients(
        self, conditions: Int[Array, " n"], t: Float[Array, ""] | float
    ) -> Float[Array, "n terms"]:
        """a(c, t) for several conditions at one time."""
        return evaluate(self.network, conditions, len(self.classes), jnp.asarray(t) / self.duration)

    def select(self, conditions: Int[Array | np.ndarray, " n"] | None) -> SelectedNetwork:
        """The control of a batch of samples with these conditions."""
        return SelectedNetwork(self.reference, self, jnp.asarray(conditions))


def evaluate(
    network: eqx.nn.MLP, conditions: Int[Array, " n"], count: int, place: Array
) -> Float[Array, "n terms"]:
    """The network's outputs for conditions (of `count`) at t / t_f = place."""
    harmonics = jnp.cos(jnp.pi * place * jnp.arange(1, _HARMONICS + 1))
    clock = jnp.concatenate([jnp.atleast_1d(place), harmonics]).astype(jnp.float32)
    one_hot = jax.nn.one_hot(conditions, count)
    inputs = jnp.concatenate([jnp.broadcast_to(clock, (len(conditions), len(clock))), one_hot], 1)
    return jax.vmap(network)(inputs)


class SelectedNetwork(ReferenceControl):
    """A `ModeNetwork` with the conditions of a batch: the computer in force at any time."""

    continuous = True

    reference: Computer
    control: ModeNetwork
    conditions: Int[Array, " n"]

    @property
    def duration(self) -> float:
        """t_f."""
        return self.control.duration

    def at(self, t: Float[Array, ""] | float) -> Computer:
        """The computer in force at time t, with axes for the samples of the batch."""
        control = self.control
        a = control.coefficients(self.conditions, t)
        modes = ModeCouplings(control.units, control.basis, jnp.tensordot(a, control.mixing, 1))
        return eqx.tree_at(lambda c: (c.couplings, c.bias), self.reference, (modes, a @ control.bias))

    def computers(self) -> list[Computer]:
        """The computers in the middle of five equal parts of t_f."""
        return [self.at((place + 0.5) / _TIMES * self.duration) for place in range(_TIMES)]
