"""What generation gives: end states and read-outs with the heat and work of every sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from thermogen.computer import EnergyParts
from thermogen.couplings import Units


@dataclass(frozen=True)
class Samples:
    """Generated samples. States are dimensionless; energies, heat and work are in E0 (`*_kT`: in kT).

    x: end states (n, N). visible: what is read out, the visible units averaged over the last `readout` of
    generation (at t_f if that is 0), (n, visible).
    heat: Q, released to the bath, the sum of -dV along the path at fixed couplings; V(x(0)) - V(x(t_f)) for a
    constant computer. work: W = V(x(0)) - V_0(x(0)), the cost of switching the trained potential on at t = 0,
    plus `switching`, that of changing couplings between segments. So V(x(t_f)) - V_0(x(0)) = W - Q.
    start, end: energy parts just after switching on, and at t_f. labels: what each sample is drawn as, if the
    control depends on it; conditions: which of the conditions of that label. film: visible states of the
    first samples (frames, m, visible) at `film_times`.
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
