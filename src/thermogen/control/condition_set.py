"""Class-conditional controls: a class has several conditions, of which each sample draws one."""

from __future__ import annotations

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from thermogen.computer import Computer, Control, ReferenceControl
from thermogen.control.per_class import check_label
from thermogen.errors import require

_CONDITIONS = 0x636F6E64
"""Marks the key that conditions are drawn with: the first numbers are what `jax.random.split` gives."""


class ConditionSet(ReferenceControl):
    """Many conditions on one device: each belongs to a class and is drawn with a probability.

    `select` gives the control of a batch in which every sample has its own condition.
    """

    weights: eqx.AbstractVar[Float[Array, " conditions"]]
    classes: eqx.AbstractVar[tuple[int, ...]]

    @property
    def labels(self) -> tuple[int, ...]:
        """The classes that can be requested."""
        return tuple(sorted(set(self.classes)))

    def labels_of(self, conditions: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """The class of each of these conditions. InputError for an unknown condition."""
        last = len(self.classes) - 1
        require(
            bool(((conditions >= 0) & (conditions <= last)).all()),
            f"conditions are {conditions.min()} to {conditions.max()}: give numbers of 0 to {last}",
        )
        return np.asarray(self.classes)[conditions]

    def draw(
        self, key: Key[Array, ""], numbers: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"] | None = None
    ) -> Int[np.ndarray, " n"]:
        """A condition for every sample, by weight among those of its class, or among all if labels is None.

        The condition of sample n depends on (key, n) and its label alone; `key` is that of the generation.
        InputError for an unknown label.
        """
        allowed = np.ones((len(numbers), len(self.classes)), bool)
        if labels is not None:
            for label in np.unique(labels):
                check_label(int(label), self.labels)
            allowed = np.asarray(labels)[:, None] == np.asarray(self.classes)[None]
        own = jax.random.fold_in(key, _CONDITIONS)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(own, jnp.asarray(numbers))
        u = np.asarray(jax.vmap(jax.random.uniform)(keys), float)
        mass = np.cumsum(np.where(allowed, np.asarray(self.weights, float), 0), 1)
        return (mass <= u[:, None] * mass[:, -1:]).sum(1)

    def spread_conditions(self, count: int) -> Control:
        """The control of `count` samples with conditions evenly spaced among all."""
        return self.select(np.linspace(0, len(self.classes) - 1, count).round().astype(int))

    def computers(self) -> list[Computer]:
        """The computer of the first condition at t = 0: all conditions have the same wiring."""
        return [self.select(np.zeros(1, int)).at(0.0)]

    @abstractmethod
    def select(self, conditions: Int[Array | np.ndarray, " n"] | None) -> Control:
        """The control of a batch of samples with these conditions."""


class LabelFields(ConditionSet):
    """Fixed couplings; a condition is a constant field on some units.

        V_c(x) = V(x) - sum_i h_ci x_i

    Biases on the label units select the class. `fields` (conditions, N) are forces, in E0.
    """

    reference: Computer
    fields: Float[Array, "conditions N"]
    weights: Float[Array, " conditions"]
    classes: tuple[int, ...] = eqx.field(static=True)

    def __check_init__(self) -> None:
        """Refuse fields for other units."""
        require(
            self.fields.shape == (len(self.classes), self.units.total),
            f"fields have shape {self.fields.shape}: give one per condition and unit, "
            f"({len(self.classes)}, {self.units.total})",
        )

    def select(self, conditions: Int[Array | np.ndarray, " n"] | None) -> Computer:
        """The computer with a bias of its own for every sample, (n, N)."""
        bias = self.reference.bias - self.fields[jnp.asarray(conditions)]
        return eqx.tree_at(lambda c: c.bias, self.reference, bias)
