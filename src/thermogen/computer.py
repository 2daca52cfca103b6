"""The thermodynamic computer: its parameters, its energy landscape and the forces it exerts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from thermogen.couplings import Couplings, NoCouplings, SplitState, Units
from thermogen.errors import InputError, require

_T = TypeVar("_T")
_R = TypeVar("_R", bound="ReferenceControl")


class EnergyParts(NamedTuple):
    """The potential energy split by origin, in E0; `total` is their sum."""

    on_site: Float[Array | np.ndarray, "*batch"]
    bias: Float[Array | np.ndarray, "*batch"]
    coupling: Float[Array | np.ndarray, "*batch"]

    @property
    def total(self) -> Float[Array | np.ndarray, "*batch"]:
        """V(x), in E0."""
        return self.on_site + self.bias + self.coupling


class AlikeUnits(NamedTuple):
    """Parameters that all units share: J2 and J4 in E0, mobility in 1 / (E0 time)."""

    J2: float
    J4: float
    mobility: float


class Group(NamedTuple):
    """Samples that may run in one batch: the mark of their files, their control and their numbers."""

    name: str
    control: Control
    members: Int[np.ndarray, " members"]


class Control(eqx.Module):
    """The potential of the units as a function of time, and of a class or condition.

    A `Computer` is the constant control. `at` gives the computer in force at a time of generation. A control
    with several classes or conditions has no such computer until `groups` and `select` have chosen one for
    every sample of a batch. Mobility and kT are constant in time. A new kind is a subclass.
    """

    continuous: ClassVar[bool] = False
    """Whether parameters change at every step."""

    if TYPE_CHECKING:  # fields of some kinds and properties of others, which a property here would hide

        @property
        def kT(self) -> Float[Array, ""]:
            """Thermal energy in E0."""
            ...

        @property
        def duration(self) -> float | None:
            """t_f that the control was made for; None for any."""
            ...
    else:
        duration = None

    @property
    def units(self) -> Units:
        """The units by role."""
        return self.uncoupled().units

    @property
    def segments(self) -> int:
        """Number of equal parts of the duration in each of which the parameters are constant."""
        return 1

    @property
    def labels(self) -> tuple[int, ...]:
        """Classes that can be requested; none if the parameters do not depend on a class."""
        return ()

    def labels_of(self, conditions: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """The class of each of these conditions. InputError for unknown ones, and without conditions."""
        raise InputError("conditions are given, but the control has none: leave them out")

    def at(self, t: Float[Array, ""] | float) -> Computer:
        """The computer in force at time t of generation. InputError before a condition is selected."""
        raise InputError(
            f"{type(self).__name__} has computers for classes {', '.join(map(str, self.labels))}: select one "
            "before asking for a computer, e.g. with generate(..., labels=...)"
        )

    def prepared(self) -> Control:
        """The same control laid out for many time steps."""
        return self

    def uncoupled(self) -> Computer:
        """The same units with J = 0 and b = 0: what noising and the start of generation use."""
        raise NotImplementedError

    def computers(self) -> list[Computer]:
        """The computers in force, in order of generation: one a segment, class by class."""
        return [self.at(0.0)]

    def map_reference(self, change: Callable[[Computer], Computer]) -> Control:
        """The same control with other on-site parameters: those of `change(reference)`."""
        raise NotImplementedError

    def groups(self, labels: Int[np.ndarray, " n"] | None, count: int) -> list[Group]:
        """The `count` samples with these labels, grouped by what can run in one batch."""
        return [Group("", self, np.arange(count))]

    def draw(
        self, key: Key[Array, ""], numbers: Int[np.ndarray, " n"], labels: Int[np.ndarray, " n"] | None = None
    ) -> Int[np.ndarray, " n"] | None:
        """A condition for every sample; None for a control without conditions."""
        return None

    def select(self, conditions: Int[Array | np.ndarray, " n"] | None) -> Control:
        """The control of a batch of samples with these conditions."""
        return self

    def spread_conditions(self, count: int) -> Control:
        """The control of a batch of `count` samples spread over all conditions."""
        return self

    @property
    def operations(self) -> int:
        """Multiply-adds that compute the parameters of one step; the products J x are not counted."""
        return 0

    def couplers(self) -> int:
        """Number of physical couplers: those of the computer that needs most, since the others reuse them."""
        return max(computer.couplings.count() for computer in self.computers())

    def reverse_gradient(
        self, x: Float[Array, "steps *batch N"], t: Float[Array, " steps"]
    ) -> Float[Array, "steps *batch N"]:
        """grad V(x_k) under the couplings in force at time t_f - t_k of generation, for noising times t_k.

        Cost: one product J x per state and segment.
        """
        raise InputError(f"{type(self).__name__} has no reversed process: give a computer or segments")


class Computer(Control):
    """N fluctuating units with quartic on-site potentials, biases and symmetric couplings.

        V(x) = sum_i (J2_i x_i^2 + J4_i x_i^4) + sum_i b_i x_i + sum_{i<j} J_ij x_i x_j
        dx_i = -mu dV/dx_i dt + sqrt(2 mu kT) dW_i

    All numbers are dimensionless: energies in E0, times in 1 / (mobility E0). `bias` may carry leading
    batch axes (one field per sample). A computer is a pytree: its arrays are arguments of compiled
    functions, so another computer of the same shape compiles nothing new.

    Units of another kind: a subclass whose `own_energy`, `own_slope` and `own_curvature` add a term of
    bounded slope to those here; its parameters are further fields, (N,) if one per unit. Exact training,
    model folders and hardware know quartic units alone, and say so.

    Source: Whitelam, PRL 136, 037101 (2026), Eqs. 1–2; reference values J2 = J4 = 1, kT = 0.1, mu = 1.
    """

    J2: Float[Array, " N"]
    J4: Float[Array, " N"]
    bias: Float[Array, "*batch N"]
    couplings: Couplings
    mobility: Float[Array, "*units"]
    kT: Float[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]

    @property
    def units(self) -> Units:
        """The units by role."""
        return self.couplings.units

    def at(self, t: Float[Array, ""] | float) -> Computer:
        """The computer in force at time t: itself, since its parameters are constant in time."""
        return self

    def own_energy(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """J2 x^2 + J4 x^4 of every unit, in E0: its potential without bias and couplings."""
        return self.J2 * x**2 + self.J4 * x**4

    def own_slope(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """2 J2 x + 4 J4 x^3 of every unit: the derivative of `own_energy`."""
        return x * (2 * self.J2 + 4 * self.J4 * x * x)

    def own_curvature(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """2 J2 + 12 J4 x^2 of every unit: the derivative of `own_slope`. Time steps are chosen by it."""
        return 2 * self.J2 + 12 * self.J4 * x * x

    def energy_parts(self, x: Float[Array, "*batch N"]) -> EnergyParts:
        """On-site, bias and coupling energies of each state, in E0. Cost: one product J x."""
        own = jnp.sum(self.own_energy(x), -1)
        return EnergyParts(own, jnp.sum(self.bias * x, -1), self.couplings.energy(x))

    def energy(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch"]:
        """V(x), in E0."""
        return jnp.asarray(self.energy_parts(x).total)

    def gradient(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """dV/dx_i = 2 J2 x_i + 4 J4 x_i^3 + b_i + sum_j J_ij x_j, in E0."""
        return self.own_slope(x) + self.bias + self.couplings.apply(x)

    def split_force(self, x: SplitState, cuts: tuple[int, ...]) -> SplitState:
        """The force -dV/dx_i, in E0, on states (*batch, N) cut at `cuts` of the couplings: for time loops."""
        stretches = zip((self.alone(low, high) for low, high in pairwise(cuts)), x.arrays, strict=True)
        own = SplitState(tuple(units.own_slope(state) + units.bias for units, state in stretches))
        return -(own + self.couplings.apply_split(x))

    def force(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """The force -dV/dx_i, in E0."""
        return -self.gradient(x)

    def alike(self) -> AlikeUnits:
        """J2, J4 and mobility that all units share; InputError if units differ or are not quartic."""
        self.check_quartic("a formula for identical units")
        values = [np.unique(np.asarray(array, float)) for array in (self.J2, self.J4, self.mobility)]
        require(all(len(v) == 1 for v in values), "units are not alike: give all one J2, J4 and mobility")
        return AlikeUnits(*(float(v[0]) for v in values))

    def check_quartic(self, what: str) -> None:
        """InputError, naming `what`, for a subclass with a potential of its own."""
        kind = type(self)
        require(
            kind.own_slope is Computer.own_slope and kind.own_energy is Computer.own_energy,
            f"units of {kind.__name__} have a potential of their own: {what} knows J2 x^2 + J4 x^4 alone",
        )

    def alone(self, low: int, high: int) -> Computer:
        """Units `low` to `high` - 1 with their biases and without couplings."""
        total = self.units.total
        cut = eqx.tree_at(lambda c: c.couplings, self, NoCouplings(Units(visible=high - low)))
        return jax.tree.map(lambda leaf: leaf[..., low:high] if leaf.shape[-1:] == (total,) else leaf, cut)

    def uncoupled(self) -> Computer:
        """The same units with J = 0 and b = 0."""
        idle = NoCouplings(self.units), jnp.zeros(self.units.total, self.bias.dtype)
        return eqx.tree_at(lambda c: (c.couplings, c.bias), self, idle)

    def map_reference(self, change: Callable[[Computer], Computer]) -> Computer:
        """`change` of the computer itself."""
        return change(self)

    def reverse_gradient(
        self, x: Float[Array, "steps *batch N"], t: Float[Array, " steps"]
    ) -> Float[Array, "steps *batch N"]:
        """grad V(x_k): the same at all times."""
        return self.gradient(x)

    def prepared(self) -> Computer:
        """The same computer with its couplings laid out for many products (see `Couplings.prepared`)."""
        return eqx.tree_at(lambda c: c.couplings, self, self.couplings.prepared())


class ReferenceControl(Control):
    """A control on the units of one computer, `reference`."""

    reference: eqx.AbstractVar[Computer]

    @property
    def kT(self) -> Float[Array, ""]:
        """Thermal energy in E0."""
        return self.reference.kT

    def uncoupled(self) -> Computer:
        """The same units with J = 0 and b = 0."""
        return self.reference.uncoupled()

    def map_reference(self: _R, change: Callable[[Computer], Computer]) -> _R:
        """The same control on units changed by `change`."""
        return eqx.tree_at(lambda control: control.reference, self, change(self.reference))


def in_float64(tree: _T) -> _T:
    """A control, or any tree of arrays, with the same numbers in float64, under `jax.enable_x64(True)`."""
    return jax.tree.map(
        lambda leaf: jnp.asarray(leaf, float) if eqx.is_inexact_array_like(leaf) else leaf, tree
    )


def make_computer(
    couplings: Couplings,
    *,
    J2: float | np.ndarray = 1.0,
    J4: float | np.ndarray = 1.0,
    bias: float | np.ndarray = 0.0,
    kT: float = 0.1,
    mobility: float | np.ndarray = 1.0,
    dtype=jnp.float32,
) -> Computer:
    """Build a computer from couplings (e.g. `published_couplings`) and on-site parameters.

    `J2`, `J4`, `bias` in E0, `mobility` in 1 / (E0 time): one number, or one per unit (N,). `kT` in E0.
    Everything, couplings included, is held in `dtype`.
    Raises InputError for kT or mobility that is not positive, a non-finite or mis-shaped parameter, or
    a potential that does not confine a unit (J4 < 0, or J4 = 0 with J2 <= 0).
    """
    total = couplings.units.total
    require(bool(np.isfinite(kT)) and kT > 0, f"kT = {kT}: give a positive number (reference: 0.1)")
    values: dict[str, Any] = {"J2": J2, "J4": J4, "bias": bias, "mobility": mobility}
    for name, value in values.items():
        value = np.asarray(value, float)
        require(
            value.shape in ((), (total,)) or (value.shape == (1,) and name != "mobility"),
            f"{name} has shape {value.shape} for {total} units: give one number or ({total},)",
        )
        if name != "mobility":
            require(
                bool(np.isfinite(value).all()), f"{name} holds NaN or infinite values: give finite numbers"
            )
            value = np.broadcast_to(value, (total,))
        elif not (valid := np.isfinite(value) & (value > 0)).all():
            unit = int(np.argmin(valid))
            where = f" of unit {unit}" if value.ndim else ""
            raise InputError(f"mobility{where} = {value.flat[unit]:g}: give positive numbers (reference: 1)")
        values[name] = jnp.asarray(value, dtype)
    J2s, J4s = np.asarray(values["J2"]), np.asarray(values["J4"])
    loose = np.flatnonzero((J4s < 0) | ((J4s == 0) & (J2s <= 0)))
    if len(loose):
        i = int(loose[0])
        raise InputError(
            f"unit {i} with J2 = {J2s[i]:g}, J4 = {J4s[i]:g} is not confined: "
            "give J4 > 0, or J4 = 0 with J2 > 0"
        )
    return jax.tree.map(
        lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf,
        Computer(couplings=couplings, kT=jnp.asarray(kT, dtype), **values),
    )
