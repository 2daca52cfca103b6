"""A device: the real units, couplers and noise of a trained computer."""

from __future__ import annotations

from functools import singledispatch
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from thermogen.computer import Computer
from thermogen.control import Control, LabelFields, ModeTable
from thermogen.couplings import Couplings, ModeCouplings, NoCouplings, Units
from thermogen.errors import InputError, require
from thermogen.hardware.imperfect.couplers import DirectedModes, imperfect_couplings, on_grid
from thermogen.hardware.imperfect.imperfections import Imperfections, places, spread, stream
from thermogen.langevin import sample_uncoupled


class Dynamics(eqx.Module):
    """The real units, couplers and noise of a device: all terms of its equation of motion.

        dx_i = mu_i F_i dt + sqrt(2 mu_i kT_i (1 + e)) dW_i
        F_i  = -2 J2_i x_i - 4 J4_i x_i^3 + offset_i - s(t) [b_i + sum_j J_ij phi(x_j)]

    phi(x) = L tanh(x / L), or x; s(t) = 1 - exp(-t / tau), or 1. `bath` is kT_i (1 + e), (N,). An absent
    imperfection is None, so that a run neither computes nor compiles it.
    """

    J2: Float[Array, " N"]
    J4: Float[Array, " N"]
    bias: Float[Array, "*batch N"]
    offset: Float[Array, " N"]
    mobility: Float[Array, " N"]
    bath: Float[Array, " N"]
    kT: Float[Array, ""]
    wires: Any
    linear_range: Float[Array, ""] | None
    noise_time: Float[Array, ""] | None
    readout_time: Float[Array, ""] | None
    switching_time: Float[Array, ""] | None

    def sensed(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """phi(x): the states as the couplers sense them."""
        if self.linear_range is None:
            return x
        return self.linear_range * jnp.tanh(x / self.linear_range)

    def pull(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """sum_j J_ij phi(x_j)."""
        return self.wires.apply(self.sensed(x))

    def on(self, t: Float[Array, ""] | float) -> Float[Array, ""] | float:
        """s(t): the share of couplings and biases that is switched on."""
        return 1.0 if self.switching_time is None else -jnp.expm1(-t / self.switching_time)

    def site(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch"]:
        """Energy of the units alone: sum_i J2_i x_i^2 + J4_i x_i^4 - offset_i x_i."""
        return jnp.sum(x * (x * (self.J2 + self.J4 * x * x) - self.offset), -1)

    def switched(self, x: Float[Array, "*batch N"], pull: Float[Array, "*batch N"]) -> Float[Array, "*batch"]:
        """Energy that is switched on, b . x + U(x), with U of the conservative part of the couplers' force.

        U(x) = sum_i x_i sum_j J_ij psi(x_j),   psi(x) = L^2 ln cosh(x / L) / x, or x / 2: the work of the
        force along the ray from 0 to x. Without imperfections U = x . J x / 2. The rest of a force without an
        energy does no work along rays. pull: sum_j J_ij phi(x_j).
        """
        if self.linear_range is None:
            inner = pull / 2
        else:
            a = jnp.abs(x / self.linear_range)
            log_cosh = a + jnp.log1p(jnp.exp(-2 * a)) - jnp.log(2.0)
            ratio = jnp.where(a < 0.03, a / 2 - a**3 / 12, log_cosh / jnp.maximum(a, 0.03))
            inner = self.wires.apply(self.linear_range * jnp.sign(x) * ratio)
        return jnp.sum(x * (self.bias + inner), -1)


class Device(NamedTuple):
    """One device: the control it was built for, its imperfections, and its dynamics.

    The dynamics of a control with conditions hold bias and M of all; `select` gives those of samples.
    """

    control: Control
    imperfections: Imperfections
    dynamics: Dynamics

    @property
    def units(self) -> Units:
        """The units by role."""
        return self.control.units

    def select(self, conditions: Int[np.ndarray, " n"] | None) -> Dynamics:
        """The dynamics of a batch of samples with these conditions."""
        dynamics = self.dynamics
        if conditions is None:
            return dynamics
        chosen = jnp.asarray(conditions)
        dynamics = eqx.tree_at(lambda d: d.bias, dynamics, dynamics.bias[chosen])
        if isinstance(dynamics.wires, DirectedModes) and dynamics.wires.mixing.ndim > 2:
            dynamics = eqx.tree_at(lambda d: d.wires.mixing, dynamics, dynamics.wires.mixing[chosen])
        return dynamics

    def matrix(self, condition: int | None = None) -> Float[np.ndarray, "N N"]:
        """The dense matrix J_ij of the couplers: row i is driven, column j sensed."""
        total = self.units.total
        dynamics = self.select(None if condition is None else np.full(total, condition))
        return np.asarray(dynamics.wires.apply(jnp.eye(total, dtype=dynamics.J2.dtype))).T

    def start(self, key: Key[Array, ""], numbers: Int[Array, " batch"]) -> Float[Array, "batch N"]:
        """x(0) of a run with this key: its units at rest, each at its temperature, nothing switched on.

        p(x_i) ~ exp(-(J2_i x^2 + J4_i x^4 - offset_i x) / kT_i (1 + e)), whatever the colour of the noise.
        """
        d = self.dynamics
        # The density depends on energy over temperature alone: give all units the nominal one.
        scale = d.kT / d.bath
        idle = Computer(
            d.J2 * scale, d.J4 * scale, -d.offset * scale, NoCouplings(self.units), d.mobility, d.kT
        )
        return sample_uncoupled(jax.random.split(key)[0], idle, numbers)


def make_device(
    key: Key[Array, ""],
    computer: Control,
    imperfections: Imperfections | None = None,
    *,
    image_shape: tuple[int, int] | None = None,
) -> Device:
    """A device that was built for `computer`; random imperfections are drawn from `key`, one key a device.

    `computer` is a Computer, a `ModeTable` of one segment, or `LabelFields`. Each imperfection has a stream
    of its own: another one does not redraw it, and its random numbers are equal at every size.
    image_shape: height and width of the visible units (None: a square), along which temperature changes.
    Raises InputError for a control that changes in time, and for couplings without couplers.
    """
    own = imperfections or Imperfections()
    units, couplings, bias = _programmed(computer)
    units.check_quartic("a device")
    total, dtype = units.units.total, units.J2.dtype
    row = jnp.asarray(places(units.units, image_shape), dtype)
    temperature = units.kT * (1 + own.temperature_gradient * (2 * row - 1))
    offset = jnp.zeros(total, dtype)
    if own.offset:
        offset = own.offset * jax.random.normal(stream(key, "offset"), (total,), dtype)
    mobility = jnp.broadcast_to(units.mobility, (total,))

    optional = ("linear_range", "noise_time", "readout_time", "switching_time")
    values = {name: getattr(own, name) for name in optional}
    dynamics = Dynamics(
        J2=spread(key, "mismatch_J2", units.J2, own.mismatch_J2),
        J4=spread(key, "mismatch_J4", units.J4, own.mismatch_J4),
        bias=on_grid(bias, own.bias_bits),
        offset=offset,
        mobility=spread(key, "mismatch_mobility", mobility, own.mismatch_mobility),
        bath=temperature * (1 + own.excess_noise),
        kT=units.kT,
        wires=imperfect_couplings(key, couplings, own),
        **{name: jnp.asarray(value, dtype) if value else None for name, value in values.items()},
    )
    return Device(computer, own, dynamics)


@singledispatch
def _programmed(control: Control) -> tuple[Computer, Couplings, Array]:
    """The settings of a device: its units, the couplings and the biases of all conditions."""
    raise InputError(
        f"a device cannot follow {type(control).__name__}: give a computer whose couplings stay as they are"
    )


@_programmed.register
def _(control: Computer) -> tuple[Computer, Couplings, Array]:
    return control, control.couplings, control.bias


@_programmed.register
def _(control: LabelFields) -> tuple[Computer, Couplings, Array]:
    units = control.reference
    return units, units.couplings, units.bias - control.fields


@_programmed.register
def _(control: ModeTable) -> tuple[Computer, Couplings, Array]:
    require(
        control.segments == 1,
        f"a device holds one set of couplings per condition, this control has {control.segments} "
        "segments of time: train with 1",
    )
    couplings = ModeCouplings(control.units, control.basis, control.mixing[:, 0])
    return control.reference, couplings, control.bias[:, 0]
