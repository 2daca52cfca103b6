"""Observers of a trajectory: they run inside the compiled scan, so nothing large is stored."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class Step(NamedTuple):
    """One step as an observer sees it: the computer before and after, the state before and after."""

    computer: Any
    computer_after: Any
    x: Float[Array, "batch N"]
    x_after: Float[Array, "batch N"]


class Observer(eqx.Module):
    """Carries a running value through the steps and records at regular intervals."""

    def start(self, computer, x: Float[Array, "batch N"]) -> Any:
        """The running value before the first step."""
        return ()

    def update(self, carry: Any, step: Step) -> Any:
        """The running value after a step."""
        return carry

    def record(self, carry: Any, computer, x: Float[Array, "batch N"]) -> Any:
        """The record of a recording step."""
        raise NotImplementedError


class Snapshots(Observer):
    """States of the first `samples` samples of the batch (all of them if None): (records, samples, N)."""

    samples: int | None = eqx.field(static=True, default=None)

    def record(self, carry, computer, x) -> Float[Array, "samples N"]:
        """The states."""
        return x[: self.samples]


class Energy(Observer):
    """V(x, t) of every sample, in E0: (records, batch)."""

    def record(self, carry, computer, x) -> Float[Array, " batch"]:
        """The energies."""
        return computer.energy(x)


class TimeSum(Observer):
    """Sum over the steps so far of the states of units `part` after each step: (records, batch, units).

    `before` is the sum of an earlier stretch: the same bits as in one stretch.
    """

    part: slice = eqx.field(static=True)
    before: Float[Array, "batch units"] | None = None

    def start(self, computer, x) -> Float[Array, "batch units"]:
        """Zero, or the sum of the stretch before."""
        return jnp.zeros_like(x[:, self.part]) if self.before is None else self.before

    def update(self, carry, step: Step) -> Float[Array, "batch units"]:
        """Add the state after the step."""
        return carry + step.x_after[:, self.part]

    def record(self, carry, computer, x) -> Float[Array, "batch units"]:
        """The sum; divide by the number of steps."""
        return carry


class HeatAndWork(Observer):
    """Heat released to the bath and work done by the control since the start, in E0: (records, batch) each.

    Per step, in this order: the state moves at fixed parameters, which releases
    Q += V(x, t) - V(x', t); then the parameters change at fixed state, which costs
    W += V(x', t + dt) - V(x', t). The first law V(end) - V(start) = W - Q is closed to rounding.
    Cost: up to three energies per step; for constant parameters use energies at the ends instead.
    """

    def start(self, computer, x) -> dict[str, Array]:
        """Zero heat, zero work."""
        zero = jnp.zeros(x.shape[0], x.dtype)
        return {"heat": zero, "work": zero}

    def update(self, carry, step: Step) -> dict[str, Array]:
        """Add the heat of the move and the work of the parameter change."""
        before = step.computer.energy(step.x)
        moved = step.computer.energy(step.x_after)
        switched = step.computer_after.energy(step.x_after)
        return {"heat": carry["heat"] + before - moved, "work": carry["work"] + switched - moved}

    def record(self, carry, computer, x) -> dict[str, Array]:
        """Heat and work so far."""
        return carry
