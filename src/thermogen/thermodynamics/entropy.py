"""Entropy production of generation: simulated heat, and bounds of the system's entropy.

    Delta S_total / k = <Q> / kT + S[p(t_f)] - S[p(0)] >= 0,   S[p] = -int p ln p dx

S[p(0)], that of uncoupled units in equilibrium, is exact. S[p(t_f)] of hundreds of coupled units cannot be
estimated from samples, but two upper bounds can: the sum of the entropies of single units (subadditivity),
and the entropy of a Gaussian of the same covariance (which is largest).
Source of the decomposition: Seifert, Rep. Prog. Phys. 75, 126001 (2012).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import digamma
from scipy.stats import differential_entropy

from thermogen.computer import Computer
from thermogen.errors import require
from thermogen.generation import Samples
from thermogen.langevin.equilibrium import equilibrium_grid

_FEWEST = 20


class EntropyProduction(NamedTuple):
    """Entropies in units of k. The production is at most `total_bound`, by the second law at least 0.

    heat: <Q> / kT, with its standard error `heat_sem`. start: S[p(0)], exact. end_bound: upper bound of
    S[p(t_f)], the smaller of those of single units and, if the samples allow one, of a Gaussian.
    Source of the error of `total_bound`: that of the heat; the estimate of `end_bound` adds a bias of
    order 1 / n per unit.
    """

    heat: float
    heat_sem: float
    start: float
    end_bound: float
    by_units: float
    by_gaussian: float | None

    @property
    def change_bound(self) -> float:
        """Upper bound of the system's entropy change S[p(t_f)] - S[p(0)]."""
        return self.end_bound - self.start

    @property
    def total_bound(self) -> float:
        """Upper bound of the entropy production <Q> / kT + S[p(t_f)] - S[p(0)]."""
        return self.heat + self.change_bound


def uncoupled_entropy(computer: Computer) -> float:
    """Entropy of the equilibrium of the units without their couplings: sum_i (ln Z_i + <V_i>/kT).

    By quadrature, to 1e-4 per unit (tests). The bias must have no batch axis.
    """
    require(computer.bias.ndim == 1, "each sample has a bias of its own: give one computer")
    grid, height = (np.asarray(values, float) for values in equilibrium_grid(computer))
    width = grid[:, 1:2] - grid[:, :1]
    density = height / (height.sum(1, keepdims=True) * width)
    positive = np.where(density > 0, density, 1)
    return float(-(density * np.log(positive) * width).sum())


def units_entropy(x: Float[np.ndarray, "n N"]) -> float:
    """Sum over units of the entropy of each alone, an upper bound of that of all: sum_i S_i >= S.

    Each by the spacings of its ordered samples (scipy.stats.differential_entropy).
    Raises InputError for fewer than 20 samples. Cost: n log n per unit.
    """
    require(len(x) >= _FEWEST, f"{len(x)} samples: an entropy needs {_FEWEST} or more")
    return float(np.sum(differential_entropy(np.asarray(x, float), axis=0)))


def gaussian_entropy(x: Float[np.ndarray, "n N"]) -> float | None:
    """Entropy of the Gaussian with the samples' covariance, an upper bound: ln det(2 pi e C) / 2.

    Unbiased for Gaussian samples: ln det of the sample covariance less sum_j psi((n-j)/2) + N ln(2/(n-1)).
    None if there are not twice as many samples as units. Source: Misra, Singh & Demchuk (2005).
    """
    n, units = x.shape
    if n <= 2 * units:
        return None
    sign, logdet = np.linalg.slogdet(np.atleast_2d(np.cov(np.asarray(x, float), rowvar=False)))
    if sign <= 0:
        return None
    bias = digamma((n - np.arange(1, units + 1)) / 2).sum() + units * np.log(2 / (n - 1))
    return float((logdet - bias + units * (1 + np.log(2 * np.pi))) / 2)


def entropy_production(samples: Samples, idle: Computer) -> EntropyProduction:
    """Entropy production of generation, from samples that started in the equilibrium of `idle`.

    `idle`: the uncoupled units. Samples of several classes or conditions are one ensemble, whose entropy
    includes that of the class.
    Raises InputError for fewer than 20 samples.
    """
    by_units = units_entropy(samples.x)
    by_gaussian = gaussian_entropy(samples.x)
    end = by_units if by_gaussian is None else min(by_units, by_gaussian)
    heat = samples.heat_kT
    error = float(heat.std(ddof=1) / len(heat) ** 0.5)
    return EntropyProduction(
        float(heat.mean()), error, uncoupled_entropy(idle.uncoupled()), end, by_units, by_gaussian
    )
