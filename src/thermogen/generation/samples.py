"""The results of generation: end states and read-outs with the heat and work of every sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from thermogen.computer import EnergyParts
from thermogen.couplings import Units


@dataclass(frozen=True)
class Samples:
    """Generated samples. States are dimensionless; energies, heat and work are in E0 (`*_kT`: in kT).

    x           end states (n, N)
    visible     read-out (n, visible): visible units averaged over the last `readout` (at t_f if that is 0)
    heat        Q, released to the bath: the sum of -dV along the path at fixed couplings
    work        W = V(x(0)) - V_0(x(0)) + `switching`, so that V(x(t_f)) - V_0(x(0)) = W - Q
    switching   work of changing couplings between segments
    start, end  energies just after the potential is switched on, and at t_f
    film        visible states of the first samples (frames, m, visible) at `film_times`
    labels      class of each sample, if the control depends on it
    conditions  condition of each sample, if its class has several
    """

    x: Float[np.ndarray, "n N"]
    visible: Float[np.ndarray, "n visible"]
    heat: Float[np.ndarray, " n"]
    work: Float[np.ndarray, " n"]
    switching: Float[np.ndarray, " n"]
    start: EnergyParts
    end: EnergyParts
    film: Float[np.ndarray, "frames m visible"]
    film_times: Float[np.ndarray, " frames"]
    kT: float
    units: Units
    labels: Int[np.ndarray, " n"] | None = None
    conditions: Int[np.ndarray, " n"] | None = None

    @property
    def hidden(self) -> Float[np.ndarray, "n hidden"]:
        """The hidden units at t_f."""
        return self.x[:, self.units.slice("hidden")]

    @property
    def heat_kT(self) -> Float[np.ndarray, " n"]:
        """Heat released per sample, in kT."""
        return self.heat / self.kT

    @property
    def work_kT(self) -> Float[np.ndarray, " n"]:
        """Work of switching on per sample, in kT."""
        return self.work / self.kT

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.x)
