"""Training on imperfect hardware: noisy, biased and slow residuals, noisy updates, couplings of few bits.

The residual r_i has thermal noise of its own, with a root mean square of

    r_0 = sqrt(mu dt / 2 kT)        (the noise of one step, sqrt(2 mu kT dt), over 2 kT)

which is the unit of all errors here: an error of 1 is as large as what physics adds anyway. White noise of
r_0 at every step adds up to the same over a trajectory whatever dt is, and so do white errors. Offsets, and
errors correlated over a number of steps, add up to more the smaller dt is: as 1 / sqrt(dt).
How they compare with those of Wang & Deng, arXiv:2609.15439: docs/claims.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from thermogen.computer import Computer
from thermogen.couplings import BlockCouplings, Couplings, quantised
from thermogen.couplings.quantisation import check_bits, mirrored
from thermogen.errors import InputError, require
from thermogen.langevin import sample_keys, standard_normal
from thermogen.langevin.noise import standard_uniform
from thermogen.thermodynamics.path import Gradient

ROUNDINGS = ("nearest", "stochastic")
"""How a coupling of few bits takes an update: to the nearest level, or at random and right on average."""


@dataclass(frozen=True)
class TrainingNoise:
    """What is wrong with the hardware that trains; the default is nothing.

    update_noise: white, on the gradient r_i x_j + r_j x_i of each coupling at each update, the same for J_ij
    and J_ji, in units of r_0.
    residual_noise: on each residual at each step, in units of r_0; `correlation`: its AR(1) coefficient from
    step to step (0: white), at the same variance. offset: constant error of each unit's residual, drawn once
    for a training from N(0, offset^2), in units of r_0. bits: couplings are stored with so many bits after
    every update, in [-full_scale, full_scale] (E0), by `rounding`. Biases are stored exactly.
    """

    update_noise: float = 0.0
    residual_noise: float = 0.0
    correlation: float = 0.0
    offset: float = 0.0
    bits: int | None = None
    full_scale: float = 0.25
    rounding: str = "nearest"

    def __post_init__(self) -> None:
        """Refuse values that are no error of a device."""
        for name in ("update_noise", "residual_noise", "offset"):
            value = getattr(self, name)
            require(0 <= value < float("inf"), f"{name} = {value}: give 0 or more")
        require(0 <= self.correlation < 1, f"correlation = {self.correlation}: give 0 or more, below 1")
        require(self.full_scale > 0, f"full_scale = {self.full_scale}: give a positive coupling in E0")
        if self.rounding not in ROUNDINGS:
            raise InputError(f"unknown rounding {self.rounding!r}: choose one of {', '.join(ROUNDINGS)}")
        if self.bits is not None:
            check_bits(self.bits)

    @property
    def residuals(self) -> bool:
        """Whether residuals are in error."""
        return bool(self.residual_noise or self.offset)

    def check(self, couplings: Couplings) -> None:
        """InputError if updates are in error and the couplings are not held in blocks."""
        if (self.update_noise or self.bits is not None) and not isinstance(couplings, BlockCouplings):
            raise InputError(
                f"noise of updates needs couplings in blocks, not {type(couplings).__name__}: leave "
                "update_noise and bits out, or use another topology"
            )


class Disturbance:
    """The errors of one training cycle, drawn from a key of their own."""

    def __init__(
        self, noise: TrainingNoise, key: Key[Array, ""], samples: Int[Array, " batch"], computer: Computer
    ):
        """For trajectories `samples`; offsets depend on the key alone, noise on (key, sample, step)."""
        self.noise = noise
        self.units = computer.units.total
        self.dtype = computer.bias.dtype
        offset_key, noise_key, self.update_key = (jax.random.fold_in(key, n) for n in range(3))
        self.keys = sample_keys(noise_key, samples)
        self.offset = standard_normal(offset_key[None], 0, self.units, self.dtype)

    def start(self, last_step: int) -> Float[Array, "batch N"]:
        """The correlated part of the error before the first step, stationary."""
        return standard_normal(self.keys, last_step, self.units, self.dtype)

    def errors(
        self, memory: Float[Array, "batch N"], first_step: Int[Array, ""] | int, steps: int, unit: Array
    ) -> tuple[Float[Array, "steps batch N"], Float[Array, "batch N"]]:
        """Errors of the residuals of a stretch of steps, and the memory to go on with; `unit` is r_0."""
        rho = self.noise.correlation
        numbers = first_step + jnp.arange(steps)
        white = jax.vmap(lambda k: standard_normal(self.keys, k, self.units, self.dtype))(numbers)

        def follow(e, xi):
            after = rho * e + (1 - rho**2) ** 0.5 * xi
            return after, after

        noise = white
        if rho:
            memory, noise = jax.lax.scan(follow, memory, white)
        return unit * (self.noise.residual_noise * noise + self.noise.offset * self.offset), memory

    def disturbed(self, gradient: Gradient, unit: Array, step: Int[Array, ""] | int) -> Gradient:
        """A gradient with the noise of its update."""
        if not self.noise.update_noise:
            return gradient
        couplings = gradient.couplings
        assert isinstance(couplings, BlockCouplings)
        noise = self._noise(couplings, unit, step)
        blocks = {link: g + noise[link] for link, g in couplings.blocks.items()}
        return Gradient(BlockCouplings(couplings.units, blocks, couplings.masks), gradient.bias)

    def descended(
        self, couplings: Couplings, rate: float, updates: int, unit: Array, step: Int[Array, ""] | int
    ) -> Couplings:
        """Couplings after so many updates of plain descent, with their noise.

        White noise of several updates adds up to white noise, so it is drawn once for all of them.
        """
        if not self.noise.update_noise:
            return couplings
        assert isinstance(couplings, BlockCouplings)
        noise = self._noise(couplings, unit * updates**0.5, step)
        blocks = {link: block - rate * noise[link] for link, block in couplings.blocks.items()}
        return BlockCouplings(couplings.units, blocks, couplings.masks)

    def stored(self, couplings: Couplings, step: Int[Array, ""] | int) -> Couplings:
        """Couplings as the device can keep them."""
        if self.noise.bits is None:
            return couplings
        assert isinstance(couplings, BlockCouplings)
        dither = None
        if self.noise.rounding == "stochastic":
            drawn = self._each(couplings, step, standard_uniform)
            dither = {link: mirrored(values, link) for link, values in drawn.items()}
        return quantised(couplings, self.noise.bits, self.noise.full_scale, dither)

    def _noise(self, couplings: BlockCouplings, unit: Array, step) -> dict[str, Array]:
        """Noise of an update: the same for J_ij and J_ji."""
        noise = {}
        for link, values in self._each(couplings, step, standard_normal).items():
            values = self.noise.update_noise * unit * mirrored(values, link)
            noise[link] = jnp.where(couplings.masks[link], values, 0) if link in couplings.masks else values
        return noise

    def _each(self, couplings: BlockCouplings, step, draw) -> dict[str, Array]:
        """Random numbers in the shape of every block."""
        numbers = {}
        for place, (link, block) in enumerate(couplings.blocks.items()):
            rows = sample_keys(jax.random.fold_in(self.update_key, place), jnp.arange(block.shape[0]))
            numbers[link] = draw(rows, step, block.shape[1], block.dtype)
        return numbers


def residual_unit(computer: Computer, dt: Float[Array, ""]) -> Float[Array, ""]:
    """r_0 = sqrt(mu dt / 2 kT): the root mean square of the thermal noise of a residual, units' mean."""
    return jnp.sqrt(jnp.mean(computer.mobility) * dt / (2 * computer.kT))
