"""The computer in physical units, and back.

    E0 = k_B T / kT,   K s^2 / 2 = J2 E0,   q = s x,   t = (mobility / rate) t',   rate = M K / (2 J2)

so that the dissipative element alone makes the linear part of the self-force and all of the noise. The drive
on unit i, in amperes or newtons, is

    -[ linear q_i + cubic q_i^3 + bias_i + sum_j G_ij q_j ],   G_ij = J_ij g,   g = drive K / (2 J2)
    linear = 2 J2 g (of a leak: 1 / R),   cubic = 4 J4 g / s^2,   bias_i = b_i g s
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from thermogen.computer import Computer, make_computer
from thermogen.couplings import Couplings
from thermogen.errors import require
from thermogen.hardware.platforms import Platform, registry
from thermogen.langevin.stability import amplitude
from thermogen.noising import Schedule


@dataclass(frozen=True)
class PhysicalComputer:
    """A computer of a platform: numbers in SI units, float64.

    energy: E0, J. scale: s, the variable at x = 1. rate: 1/s, of a unit of mobility 1. linear, cubic:
    self-force per q and per q^3; couplings: G, (N, N) as they are held; bias: (N,). kT, J2, J4, mobility,
    dtype: of the dimensionless computer, which `computer` gives back: float32 bit for bit.
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
        """g, what a coupling of J = 1 is: S, 1/H or N/m."""
        return self.linear / (2 * self.J2)

    def computer(self) -> Computer:
        """The dimensionless computer that this came from."""
        back = _times(self.couplings, 1 / self.conductance)
        couplings = jax.tree.map(lambda leaf: jnp.asarray(leaf, self.dtype), back, is_leaf=_real)
        bias = self.bias / (self.conductance * self.scale)
        return make_computer(
            couplings,
            J2=self.J2,
            J4=self.J4,
            bias=bias,
            mobility=self.mobility,
            kT=self.kT,
            dtype=jnp.dtype(self.dtype),
        )


def to_physical(computer: Computer, platform: Platform) -> PhysicalComputer:
    """The computer on a platform.

    Raises InputError for units that are not alike, J2 or J4 not positive (no storage element, no wall),
    mobility zero (no dissipative element) and couplings that differ from sample to sample.
    """
    J2, J4, mobility = computer.alike()
    require(J2 > 0, f"J2 = {J2:g}: a unit needs a storage element, give J2 > 0")
    require(J4 > 0, f"J4 = {J4:g}: a unit needs a wall, give J4 > 0")
    require(mobility > 0, f"mobility = {mobility:g}: a unit needs a dissipative element, give mobility > 0")
    require(
        computer.bias.ndim == 1 and not computer.couplings.batch,
        "couplings or biases differ from sample to sample: wire one condition at a time",
    )
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


def figures(
    physical: PhysicalComputer, schedule: Schedule, heat_kT: float | None = None
) -> dict[str, tuple[float, str]]:
    """What an engineer asks first, by name, as (value, unit): scales, times, noise, largest drives, couplers.

    With the mean heat of a sample in kT also joules and watts. The largest drive of a coupling is |G| times
    the largest variable expected (`langevin.stability.amplitude`).
    """
    units, platform = registry(), physical.platform
    variable, force = units.Unit(platform.variable), units.Unit(platform.force)
    duration = schedule.t_f * physical.time_unit
    largest = max(
        (float(np.abs(leaf).max()) for leaf in _leaves(physical.couplings) if leaf.size), default=0.0
    )
    reach = float(np.max(np.asarray(amplitude(physical.computer())))) * physical.scale
    found = {
        "scale": (physical.scale, variable),
        "thermal width": (physical.scale * (physical.kT / (2 * physical.J2)) ** 0.5, variable),
        "relaxation time": (platform.relaxation, units.Unit("second")),
        "time of a sample": (duration, units.Unit("second")),
        "noise density": (platform.noise_density, force / units.Unit("hertz") ** 0.5),
        "coupling of J = 1": (physical.conductance, force / variable),
        "largest coupling": (largest, force / variable),
        "cubic": (physical.cubic, force / variable**3),
        "largest bias": (float(np.abs(physical.bias).max()), force),
        "largest variable": (reach, variable),
        "largest drive of a coupling": (largest * reach, force),
        "couplers": (float(physical.couplings.count()), units.Unit("dimensionless")),
    }
    if heat_kT is not None:
        joules = heat_kT * platform.thermal_energy
        found["heat of a sample"] = (joules, units.Unit("joule"))
        found["power"] = (joules / duration, units.Unit("watt"))
    return {name: (value, f"{unit:~}") for name, (value, unit) in found.items()}


def _real(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f"


def _leaves(couplings: Couplings) -> list[np.ndarray]:
    return [leaf for leaf in jax.tree.leaves(couplings) if _real(leaf)]


def _times(couplings: Couplings, factor: float) -> Couplings:
    """Couplings with every value in float64 times a factor; positions and masks stay."""
    return jax.tree.map(
        lambda leaf: np.asarray(leaf, float) * factor if eqx.is_inexact_array_like(leaf) else leaf, couplings
    )
