"""Stochastic thermodynamics: path-probability ratios, entropy production, free energies from work."""

from thermogen.thermodynamics.entropy import (
    EntropyProduction,
    entropy_production,
    gaussian_entropy,
    uncoupled_entropy,
    units_entropy,
)
from thermogen.thermodynamics.path import (
    PathRatio,
    forward_action,
    local_gradient,
    log_ratio,
    residuals,
    reverse_action,
)
from thermogen.thermodynamics.path_ratio import noising_path_ratio
from thermogen.thermodynamics.work import FreeEnergy, free_energy_of_work, log_partition

__all__ = [
    "EntropyProduction",
    "FreeEnergy",
    "PathRatio",
    "entropy_production",
    "forward_action",
    "free_energy_of_work",
    "gaussian_entropy",
    "local_gradient",
    "log_partition",
    "log_ratio",
    "noising_path_ratio",
    "residuals",
    "reverse_action",
    "uncoupled_entropy",
    "units_entropy",
]
