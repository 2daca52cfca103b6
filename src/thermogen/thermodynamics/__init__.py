"""Stochastic thermodynamics: path-probability ratios, entropies, free energies from work."""

from thermogen.thermodynamics.ratio import noising_path_ratio

__all__ = ["noising_path_ratio"]
