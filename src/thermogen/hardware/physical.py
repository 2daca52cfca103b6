"""The computer in physical units, and back.

    E0 = k_B T / kT,   K s^2 / 2 = J2 E0,   q = s x,   t = (mobility / rate) t',   rate = M K / (2 J2)

so that the dissipative element makes the linear self-force and all of the noise. The drive on unit i, in
amperes or newtons, is

    -[ linear q_i + cubic q_i^3 + bias_i + sum_j G_ij q_j ],   G_ij = J_ij g,   g = drive K / (2 J2)
    linear = 2 J2 g (of a leak: 1 / R),   cubic = 4 J4 g / s^2,   bias_i = b_i g s
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from thermogen.computer import Computer, make_computer
from thermogen.couplings import BlockCouplings, Couplings, LowRankCouplings, ModeCouplings
from thermogen.errors import InputError, require
from thermogen.hardware.platforms import Platform
from thermogen.langevin.stability import amplitude


@dataclass(frozen=True)
class PhysicalComputer:
    """A computer of a platform: numbers in SI units, float64.

    energy: E0, J
    scale: s, the variable at x = 1
    rate: 1/s, of a unit of mobility 1
    linear, cubic: self-force per q and per q^3
    couplings: G, (N, N) as they are stored
    bias: (N,)
    kT, J2, J4, mobility, dtype: of the dimensionless computer, which `computer` restores: float32 bit for bit
    """

    platform: Platform
    energy: float
    scale: float
    rate: float
    linear: float
    cubic: float
    couplings: Couplings
    bias: Float[np.ndarray, " N"]
    kT: float
    J2: float
    J4: float
    mobility: float
    dtype: str

    @property
    def time_unit(self) -> float:
        """Seconds of one unit of dimensionless time, mobility / rate."""
        return self.mobility / self.rate

    @property
    def conductance(self) -> float:
        """g, the coupling J = 1: S, 1/H or N/m."""
        return self.linear / (2 * self.J2)

    def computer(self) -> Computer:
        """The dimensionless computer of this one."""
        back = _times(self.couplings, 1 / self.conductance)
        couplings = jax.tree.map(lambda leaf: jnp.asarray(leaf, self.dtype), back, is_leaf=_is_real)
        bias = self.bias / (self.conductance * self.scale)
        own = {name: getattr(self, name) for name in ("J2", "J4", "mobility", "kT")}
        return make_computer(couplings, bias=bias, dtype=jnp.dtype(self.dtype), **own)


def to_physical(computer: Computer, platform: Platform) -> PhysicalComputer:
    """The computer on a platform.

    Raises InputError for units that differ, for J2 or J4 not positive (no storage element, no wall), mobility
    zero (no dissipative element), couplings that differ from sample to sample, and asymmetric couplings on a
    platform whose couplers act both ways.
    """
    J2, J4, mobility = computer.alike()
    require(J2 > 0, f"J2 = {J2:g}: a unit needs a storage element, give J2 > 0")
    require(J4 > 0, f"J4 = {J4:g}: a unit needs a wall, give J4 > 0")
    require(mobility > 0, f"mobility = {mobility:g}: a unit needs a dissipative element, give mobility > 0")
    require(
        computer.bias.ndim == 1 and not computer.couplings.batch,
        "couplings or biases differ from sample to sample: wire one condition at a time",
    )
    _check_symmetry(computer.couplings, platform)
    kT = float(computer.kT)
    energy = platform.thermal_energy / kT
    scale = (2 * J2 * energy / platform.stiffness) ** 0.5
    g = platform.drive * platform.stiffness / (2 * J2)
    return PhysicalComputer(
        platform=platform,
        energy=energy,
        scale=scale,
        rate=platform.mobility * platform.stiffness / (2 * J2),
        linear=2 * J2 * g,
        cubic=4 * J4 * g / scale**2,
        couplings=_times(computer.couplings, g),
        bias=np.asarray(computer.bias, float) * (g * scale),
        kT=kT,
        J2=J2,
        J4=J4,
        mobility=mobility,
        dtype=str(computer.bias.dtype),
    )


def largest_variable(physical: PhysicalComputer) -> float:
    """Largest expected value of a unit, in SI units (`langevin.stability.amplitude`)."""
    return amplitude(physical.computer()) * physical.scale


def _check_symmetry(couplings: Couplings, platform: Platform) -> None:
    """Only couplings within one role can be asymmetric."""
    if platform.one_way or not isinstance(couplings, BlockCouplings):
        return
    for link, block in couplings.blocks.items():
        first, second = link.split("-")
        values = np.asarray(block)
        if first == second and not np.array_equal(values, values.T):
            i, j = np.argwhere(values != values.T)[0]
            raise InputError(
                f"couplings {link} are not symmetric, entry ({i}, {j}) is {values[i, j]:g} and ({j}, {i}) is "
                f"{values[j, i]:g}: {platform.name} couplers act both ways; symmetrise them, or use an "
                "electrical platform"
            )


def _is_real(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f"


def _scaled(couplings: Any, factor: float) -> Any:
    return jax.tree.map(
        lambda leaf: np.asarray(leaf, float) * factor if eqx.is_inexact_array_like(leaf) else leaf, couplings
    )


@singledispatch
def _times(couplings: Couplings, factor: float) -> Couplings:
    """Couplings with J times a factor, in float64; positions, masks and sensing weights stay."""
    return _scaled(couplings, factor)


@_times.register
def _(couplings: LowRankCouplings, factor: float) -> Couplings:
    # J is a product: only one of its factors may take the unit.
    return eqx.tree_at(lambda c: c.left, _scaled(couplings, 1.0), _scaled(couplings.left, factor))


@_times.register
def _(couplings: ModeCouplings, factor: float) -> Couplings:
    return eqx.tree_at(lambda c: c.mixing, _scaled(couplings, 1.0), _scaled(couplings.mixing, factor))
