"""Baselines: generators to compare with the thermodynamic computer, with one interface."""

from thermogen.baselines.base import Baseline
from thermogen.baselines.bernoulli import BernoulliMachine, fit_bernoulli
from thermogen.baselines.boltzmann import BoltzmannMachine, fit_boltzmann
from thermogen.baselines.denoiser import Denoiser, fit_denoiser
from thermogen.baselines.mixtures import Mixture, fit_mixture

__all__ = [
    "Baseline",
    "BernoulliMachine",
    "BoltzmannMachine",
    "Denoiser",
    "Mixture",
    "fit_bernoulli",
    "fit_boltzmann",
    "fit_denoiser",
    "fit_mixture",
]
