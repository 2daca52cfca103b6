"""Units clamped at given values while the others run, e.g. half a digit that generation completes."""

from __future__ import annotations

from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from thermogen.computer import Computer, Control
from thermogen.couplings import Units
from thermogen.errors import InputError, require


@dataclass(frozen=True)
class Clamp:
    """The clamped units, (N,), and their values, one row per sample (n, N); other values are ignored.

    A clamped unit has mobility 0: it neither drifts nor feels noise, and its neighbours feel it.
    """

    units: Bool[np.ndarray, " N"]
    values: Float[np.ndarray, "n N"]

    @classmethod
    def visible(cls, units: Units, pixels: Bool[np.ndarray, " visible"], images: np.ndarray) -> Clamp:
        """Clamp the visible units `pixels` at the values of `images` (n, visible), in units of x."""
        pixels, images = np.asarray(pixels), np.asarray(images)
        if pixels.shape != (units.visible,) or images.ndim != 2 or images.shape[1] != units.visible:
            raise InputError(
                f"clamp of pixels {pixels.shape} with images {images.shape} for {units.visible} visible "
                f"units: give ({units.visible},) and (n, {units.visible})"
            )
        clamped = np.zeros(units.total, bool)
        clamped[units.slice("visible")] = pixels
        values = np.zeros((len(images), units.total), np.float32)
        values[:, units.slice("visible")] = images
        return cls(clamped, values)

    def check(self, units: Units, count: int) -> None:
        """InputError for a clamp of other units, of every unit, or of another number of samples."""
        require(
            self.units.shape == (units.total,),
            f"clamp of {self.units.size} units, the computer has {units.total}: name each of its units",
        )
        require(not self.units.all(), "every unit is clamped: leave some free to move")
        require(
            self.values.shape == (count, units.total),
            f"clamp values have shape {self.values.shape}: give ({count}, {units.total})",
        )
        require(bool(np.isfinite(self.values[:, self.units]).all()), "clamp values hold NaN: give numbers")

    def start(self, x: Float[Array, "n N"], rows: np.ndarray) -> Float[Array, "n N"]:
        """States with the clamped units at their values."""
        return jnp.where(jnp.asarray(self.units), jnp.asarray(self.values[rows], x.dtype), x)

    def freeze(self, control: Control) -> Control:
        """The control with mobility 0 for the clamped units."""

        def frozen(computer: Computer) -> Computer:
            mobility = jnp.where(jnp.asarray(self.units), 0.0, computer.mobility)
            return eqx.tree_at(lambda c: c.mobility, computer, mobility)

        return control.map_reference(frozen)
