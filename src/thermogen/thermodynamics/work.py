"""Free energies from the work of switching couplings on, and exactly for few units."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from thermogen.computer import Computer
from thermogen.errors import require
from thermogen.langevin.equilibrium import boltzmann_grid

_MOST = 3
_POINTS = 161


class FreeEnergy(NamedTuple):
    """Delta F / kT from work, its standard error, and how many samples carry the average.

    effective: (sum w)^2 / sum w^2 of the weights w = exp(-W/kT). Below about ten the average rests on a few
    rare samples, and the estimate, too high as a rule, and its error mean little.
    """

    delta: float
    sem: float
    effective: float


def free_energy_of_work(work_kT: Float[np.ndarray, " n"]) -> FreeEnergy:
    """Delta F from the work of each of n realisations that start in equilibrium: Jarzynski's relation.

        < exp(-W / kT) > = exp(-Delta F / kT) = Z_theta / Z_0

    For a sudden switch W = V_theta(x) - V_0(x), and the relation is Zwanzig's. Error by linearisation.
    Raises InputError for fewer than two values. Source: Jarzynski, PRL 78, 2690 (1997).
    """
    work = np.asarray(work_kT, float)
    require(len(work) >= 2, f"{len(work)} work value: give two or more")
    weights = np.exp(work.min() - work)
    mean = weights.mean()
    error = float(weights.std(ddof=1) / len(work) ** 0.5 / mean)
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    return FreeEnergy(float(work.min() - np.log(mean)), error, effective)


def log_partition(computer: Computer) -> float:
    """ln Z = ln int exp(-V(x)/kT) dx of up to three coupled units, by quadrature on a grid.

    The grid spans what single units reach within 40 kT of their couplings' bounds: Gershgorin's disks and the
    biases decide. Raises InputError for more than three units. Cost: 161^N energies.
    """
    total = computer.units.total
    require(total <= _MOST, f"{total} units: quadrature is for {_MOST} or fewer")
    computer.check_quartic("this quadrature")
    J = np.asarray(computer.couplings.matrix(), float)
    J2, J4, bias = (np.asarray(array, float) for array in (computer.J2, computer.J4, computer.bias))
    kT = float(computer.kT)
    # x_i x_j >= -(x_i^2 + x_j^2) / 2: the energy is no less than that of single units with softer J2.
    softer = J2 - np.abs(J - np.diag(np.diag(J))).sum(1) / 2 + np.diag(J) / 2
    require(bool(np.all((J4 > 0) | (softer > 0))), "the energy has no lower bound: give J4 > 0")
    least = jnp.asarray(softer, computer.bias.dtype)
    reach, _ = boltzmann_grid(least, computer.J4, computer.bias, computer.kT)
    axes = [np.linspace(float(grid[0]), float(grid[-1]), _POINTS) for grid in np.asarray(reach)]
    x = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, total)
    energy = (J2 * x**2 + J4 * x**4 + bias * x).sum(1) + np.einsum("ni,ij,nj->n", x, J, x) / 2
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    return float(np.log(np.exp((energy.min() - energy) / kT).sum() * cell) - energy.min() / kT)
