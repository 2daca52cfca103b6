"""The reference process: images imprinted as fields on uncoupled units, then ramped away into noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from thermogen.computer import Computer
from thermogen.couplings import MOST_DENSE_PAIRS
from thermogen.errors import InputError, require
from thermogen.langevin import EulerMaruyama, check_escape, sample_uncoupled, standard_normal, whole_steps


@dataclass(frozen=True)
class Schedule:
    """Durations of noising and generation, and the ramp a(t) of the noising field.

        a(t) = max(0, 1 - t / (ramp_fraction t_f)):  1 at the start, 0 for the last quarter

    The visible units are read as their mean over the last `readout` of generation (reference: 0, at t_f).
    Times in 1 / (mobility E0). Reference: t_f = 2.5, dt = 1e-3 (2,500 steps), ramp_fraction = 0.75.
    Source: Whitelam, PRL 136, 037101 (2026).
    """

    t_f: float = 2.5
    dt: float = 1e-3
    ramp_fraction: float = 0.75
    readout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse durations and steps that make no whole number of steps."""
        whole_steps(self.t_f, self.dt)
        require(
            0 < self.ramp_fraction <= 1,
            f"ramp_fraction = {self.ramp_fraction}: give a number above 0 and up to 1 (reference: 0.75)",
        )

        require(
            0 <= self.readout < self.t_f,
            f"readout = {self.readout}: give 0, or a time below t_f = {self.t_f:g}",
        )

    @property
    def steps(self) -> int:
        """Number of time steps."""
        return whole_steps(self.t_f, self.dt)

    @property
    def readout_steps(self) -> int:
        """Number of states that the read-out averages, the last ones."""
        return max(1, round(self.readout / self.dt))

    def ramp(self, t: Float[Array, "*times"] | float) -> Float[Array, "*times"]:
        """a(t)."""
        return jnp.maximum(0.0, 1 - t / (self.ramp_fraction * self.t_f))


class RampedField(eqx.Module):
    """Uncoupled units in a field that is ramped away: the control of the noising process.

        V(x, t) = sum_i (J2 x_i^2 + J4 x_i^4) - a(t) sum_i f_i x_i

    `field` f is an external force (it enters the force with a plus sign): (N,), or (batch, N).
    """

    reference: Computer
    field: Float[Array, "*batch N"]
    schedule: Schedule = eqx.field(static=True)

    def at(self, t: Float[Array, ""] | float) -> Computer:
        """The uncoupled computer with bias -a(t) f."""
        bias = self.reference.bias - self.schedule.ramp(t) * self.field
        return eqx.tree_at(lambda c: c.bias, self.reference, bias)

    def prepared(self) -> RampedField:
        """Itself: there are no couplings to lay out."""
        return self


# --- imprints: which field the hidden units feel for each image ------------------------------------------


class Imprinted(NamedTuple):
    """What an imprint may use: images (P, pixels), zero mean and unit variance; labels (P,); amplitudes."""

    images: np.ndarray
    labels: np.ndarray
    amplitude: float
    hidden_amplitude: float


def tile(images: Imprinted, hidden: int, key: Key[Array, ""]) -> np.ndarray:
    """Hidden unit a feels A times pixel (pixels + a) mod pixels, i.e. the image repeated.

    Source: the published program of Whitelam, PRL 136, 037101 (2026).
    """
    return images.amplitude * images.images[:, np.arange(hidden) % images.images.shape[1]]


def projection(images: Imprinted, hidden: int, key: Key[Array, ""]) -> np.ndarray:
    """Hidden fields A P^T s with a fixed random matrix P, entries N(0, 1 / pixels).

    Source: Wang & Deng, arXiv:2609.15439.
    """
    pixels = images.images.shape[1]
    require(
        pixels * hidden <= MOST_DENSE_PAIRS,
        f"imprint 'projection' needs a matrix of {pixels:,} x {hidden:,}: use 'code' or 'tile' instead",
    )
    matrix = np.asarray(jax.random.normal(key, (pixels, hidden), jnp.float32), float) / np.sqrt(pixels)
    return images.amplitude * images.images @ matrix


def groups(images: Imprinted, hidden: int, key: Key[Array, ""]) -> np.ndarray:
    """One group of units per label: +A' on the image's own group, -A' / (P - 1) on the others.

    A' = `hidden_amplitude`, P the number of distinct labels. Few units carry a label when P is large.
    """
    classes, member = _classes(images, hidden, "groups")
    group = np.arange(hidden) * len(classes) // hidden
    own = member[:, None] == group[None]
    return images.hidden_amplitude * np.where(own, 1.0, -1.0 / (len(classes) - 1))


def code(images: Imprinted, hidden: int, key: Key[Array, ""]) -> np.ndarray:
    """Every unit takes part in every label: orthogonal patterns of signs w_p, their mean taken off.

        f_p = A' sqrt(P / (2 P - 2)) (w_p - mean_q w_q),    w_p . w_q = 0,    w_p . w_p = hidden

    The root mean square field is A' / sqrt(2) for any P, as in `groups` for three labels. A' =
    `hidden_amplitude` (4 to 6 E0 work well). Meant to be trained together with the visible biases.
    The patterns are Walsh functions, made orthogonal where `hidden` is no power of two (Loewdin).
    """
    classes, member = _classes(images, hidden, "code")
    count = len(classes)
    # Rows 1 to P of the Walsh-Hadamard matrix: signs by the parity of the common bits of row and column.
    common = np.arange(1, count + 1)[:, None] & np.arange(hidden)
    walsh = 1 - 2 * (np.bitwise_count(common) & 1).astype(int)
    values, vectors = np.linalg.eigh(walsh @ walsh.T / hidden)
    patterns = vectors / np.sqrt(values) @ vectors.T @ walsh
    patterns = patterns - patterns.mean(0)
    return images.hidden_amplitude * np.sqrt(count / (2 * count - 2)) * patterns[member]


def _classes(images: Imprinted, hidden: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    classes, member = np.unique(images.labels, return_inverse=True)
    require(len(classes) > 1, f"imprint {name!r} needs at least two labels: give more classes, or use 'tile'")
    require(
        hidden > len(classes),
        f"imprint {name!r} needs more hidden units than labels: {hidden} for {len(classes)} labels",
    )
    return classes, member.reshape(-1)


Imprint = Callable[[Imprinted, int, Array], np.ndarray]
IMPRINTS: dict[str, Imprint] = {"tile": tile, "projection": projection, "groups": groups, "code": code}
"""Imprints by name. A new one maps (images, hidden units, key) to hidden fields (P, hidden) in E0."""


def fields(
    images: np.ndarray,
    labels: np.ndarray | Sequence[int],
    hidden: int,
    *,
    output: int = 0,
    imprint: str = "tile",
    amplitude: float = 2.0,
    hidden_amplitude: float = 6.0,
    key: Key[Array, ""] | None = None,
) -> Float[Array, "P N"]:
    """Fields of all units for each image: A s_i on the visible units, the imprint on the hidden ones, in E0.

    Output units, if any, always feel the label as in `groups`.

    `images` (P, pixels), each of zero mean and unit variance; `amplitude` A = 2 belongs to J2 = 1, kT = 0.1.
    The hidden units must feel the image too: with J = 0 and no hidden field the expected gradient of every
    visible–hidden coupling vanishes, and training learns only noise.
    `key` seeds the projection matrix. Raises InputError for an unknown imprint.
    """
    if imprint not in IMPRINTS:
        raise InputError(f"unknown imprint {imprint!r}: choose one of {', '.join(IMPRINTS)}")
    images = np.asarray(images, float).reshape(len(images), -1)
    source = Imprinted(images, np.asarray(labels), amplitude, hidden_amplitude)
    key = jax.random.key(0) if key is None else key
    nothing = np.zeros((len(images), 0))
    imprinted = IMPRINTS[imprint](source, hidden, key) if hidden else nothing
    labelled = groups(source, output, key) if output else nothing
    return jnp.asarray(np.concatenate([amplitude * images, imprinted, labelled], 1), jnp.float32)


# --- noising trajectories ----------------------------------------------------------------------------------


def noising_start(
    key: Key[Array, ""], reference: Computer, field: Float[Array, "*batch N"], samples: Int[Array, " batch"]
) -> Float[Array, "batch N"]:
    """Exact equilibrium of the uncoupled units under the full field: the start of noising."""
    held = eqx.tree_at(lambda c: c.bias, reference, reference.bias - field)
    return sample_uncoupled(key, held, samples)


def noising_stretch(
    keys: Key[Array, " batch"],
    control: RampedField,
    x: Float[Array, "batch N"],
    first_step: Int[Array, ""] | int,
    steps: int,
) -> Float[Array, "stored batch N"]:
    """`steps` Euler–Maruyama steps of noising, all states stored (steps + 1, batch, N), the first being x.

    The same noise and the same steps as `simulate`; written apart because the units are independent, so
    the increments of a whole stretch can be drawn at once. Training works through such stretches.
    """
    reference, dt = control.reference, jnp.asarray(control.schedule.dt, x.dtype)
    sigma = jnp.sqrt(2 * reference.mobility * reference.kT * dt)
    numbers = first_step + jnp.arange(steps)
    noise = jax.vmap(lambda k: standard_normal(keys, k, x.shape[-1], x.dtype))(numbers)

    def step(x, inputs):
        k, xi = inputs
        after = x + reference.mobility * control.at(k * dt).force(x) * dt + sigma * xi
        return after, after

    _, path = jax.lax.scan(step, x, (numbers, noise))
    return jnp.concatenate([x[None], path])


def check_noising(
    keys: Key[Array, " batch"],
    control: RampedField,
    start: Float[Array, "batch N"],
    final: Float[Array, "batch N"],
) -> None:
    """Raise DivergenceError if noising from `start` to `final` left all physical scales (dt too large)."""
    check_escape(
        keys,
        control,
        start,
        final,
        steps=control.schedule.steps,
        dt=jnp.asarray(control.schedule.dt, start.dtype),
        integrator=EulerMaruyama(),
        first_step=jnp.asarray(0),
    )
