"""Imperfections of a device: of its units, couplers, noise, read-out and switches."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from thermogen.couplings import Units
from thermogen.couplings.quantisation import MOST_BITS
from thermogen.errors import InputError, require

STREAMS = ("mismatch_J2", "mismatch_J4", "mismatch_mobility",
           "coupling_error", "asymmetry", "dead", "offset")  # fmt: skip
"""Imperfections that are drawn once for a device, in the order of their streams of random numbers."""
_BITS = ("bits", "bias_bits")


@dataclass(frozen=True)
class Imperfections:
    """The imperfections of a device; the default is none. z are independent N(0, 1) numbers.

    Storage. bits: couplings on a signed grid of 2^bits - 1 levels, the largest of each block as full scale,
    mirrored pairs alike; bias_bits: the same for biases. coupling_limit: couplings are clipped to this share
    of the largest of their block (before they are put on the grid).

    Units. mismatch_J2, mismatch_J4, mismatch_mobility: s in value exp(s z), a z for every unit. offset:
    standard deviation of a constant force on every unit, E0.

    Couplers. coupling_error: s in J (1 + s z), both directions alike; asymmetry: another factor (1 + s z) for
    each direction, so that J_ij != J_ji and no energy exists; dead: share of couplers that are 0, in both
    directions. linear_range: a coupler senses L tanh(x / L) instead of x, L in units of x.

    Noise. temperature_gradient: kT_i = kT (1 + g (2 u_i - 1)) with u from 0 to 1 along the rows of the image
    for visible units, along their order for others. excess_noise: white noise of intensity 2 mu kT e besides
    the thermal one, without any dissipation. noise_time: correlation time of the noise, an
    Ornstein-Uhlenbeck process of the same intensity at zero frequency, in 1 / (mu E0).

    Periphery. readout_noise: standard deviation of an error of every read value, in units of x. readout_time:
    time constant of a single pole between unit and read-out. switching_time: couplings and biases come on as
    1 - exp(-t / tau) instead of at once. Times in 1 / (mu E0).

    Raises InputError for values that no device can have.
    """

    bits: int | None = None
    bias_bits: int | None = None
    coupling_limit: float = 1.0
    mismatch_J2: float = 0.0
    mismatch_J4: float = 0.0
    mismatch_mobility: float = 0.0
    offset: float = 0.0
    coupling_error: float = 0.0
    asymmetry: float = 0.0
    dead: float = 0.0
    linear_range: float | None = None
    temperature_gradient: float = 0.0
    excess_noise: float = 0.0
    noise_time: float = 0.0
    readout_noise: float = 0.0
    readout_time: float = 0.0
    switching_time: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values that no device can have."""
        require(
            0 < self.coupling_limit <= 1,
            f"coupling_limit = {self.coupling_limit}: give a share above 0 and up to 1",
        )
        require(0 <= self.dead < 1, f"dead = {self.dead}: give a share from 0 to below 1")
        require(
            self.linear_range is None or 0 < self.linear_range < math.inf,
            f"linear_range = {self.linear_range}: give a positive range in units of x",
        )
        require(
            -1 < self.temperature_gradient < 1,
            f"temperature_gradient = {self.temperature_gradient}: give a number between -1 and 1, or some "
            "unit has no temperature",
        )
        checked = ("coupling_limit", "dead", "linear_range", "temperature_gradient")
        for name in set(NAMES).difference(checked):
            value = getattr(self, name)
            if name not in _BITS:
                require(0 <= value < math.inf, f"{name} = {value}: give 0 or more")
            elif value is not None:
                _check_bits(name, value)

    @classmethod
    def named(cls, name: str, value: float, base: Imperfections | None = None) -> Imperfections:
        """`base` with one imperfection set by name; InputError for an unknown one or an impossible value."""
        if name not in NAMES:
            raise InputError(f"unknown imperfection {name!r}: choose among {', '.join(NAMES)}")
        if name in _BITS:
            _check_bits(name, value)
            value = int(value)
        return replace(base or cls(), **{name: value})

    def present(self) -> dict[str, float | int]:
        """The imperfections that differ from none, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            field.name: values[field.name] for field in fields(self) if values[field.name] != field.default
        }


def _check_bits(name: str, value: float) -> None:
    valid = value == value // 1 and 2 <= value <= MOST_BITS
    require(valid, f"{name} = {value:g}: give a whole number of bits from 2 to {MOST_BITS}")


NAMES = tuple(Imperfections.__dataclass_fields__)
"""Names of all imperfections."""


def stream(key: Key[Array, ""], name: str) -> Key[Array, ""]:
    """The key of one imperfection of a device: switching another on does not redraw it."""
    return jax.random.fold_in(key, STREAMS.index(name))


def spread(key: Key[Array, ""], name: str, values: Float[Array, " N"], s: float) -> Float[Array, " N"]:
    """values_i exp(s z_i): a mismatch keeps its sign, and stays positive where the value is."""
    if not s:
        return values
    return values * jnp.exp(s * jax.random.normal(stream(key, name), values.shape, values.dtype))


def places(units: Units, image_shape: tuple[int, int] | None = None) -> Float[np.ndarray, " N"]:
    """u_i in [0, 1]: the row of a visible unit in the image, the place of other units in their role.

    image_shape: height and width (None: a square if the visible units fill one, else a single column).
    Raises InputError for a shape of another size.
    """
    side = math.isqrt(units.visible)
    if image_shape is None:
        image_shape = (side, side) if side * side == units.visible else (units.visible, 1)
    height, width = image_shape
    require(
        height * width == units.visible,
        f"image_shape = {image_shape} for {units.visible} visible units: give height and width of the image",
    )
    rows = np.repeat(_evenly(height), width)
    others = [_evenly(count) for count in (units.hidden, units.output)]
    return np.concatenate([rows, *others]).astype(np.float32)


def _evenly(count: int) -> Float[np.ndarray, " count"]:
    return np.linspace(0, 1, count) if count > 1 else np.full(count, 0.5)
