"""Stochastic thermodynamics: path-probability ratios, entropy production, free energies from work."""

from thermogen.thermodynamics.entropy import (
    EntropyProduction,
    entropy_production,
    gaussian_entropy,
    uncoupled_entropy,
    units_entropy,
)
from thermogen.thermodynamics.path_ratio import noising_path_ratio
from thermogen.thermodynamics.work import FreeEnergy, free_energy_of_work, log_partition

__all__ = [
    "EntropyProduction",
    "FreeEnergy",
    "entropy_production",
    "free_energy_of_work",
    "gaussian_entropy",
    "log_partition",
    "noising_path_ratio",
    "uncoupled_entropy",
    "units_entropy",
]
