"""Rivals: generators that the thermodynamic computer is compared with, all with one interface."""

from thermogen.baselines.base import Rival
from thermogen.baselines.bernoulli import BernoulliMachine, fit_bernoulli
from thermogen.baselines.boltzmann import BoltzmannMachine, fit_boltzmann
from thermogen.baselines.denoiser import Denoiser, fit_denoiser
from thermogen.baselines.mixtures import Mixture, fit_mixture

__all__ = [
    "BernoulliMachine",
    "BoltzmannMachine",
    "Denoiser",
    "Mixture",
    "Rival",
    "fit_bernoulli",
    "fit_boltzmann",
    "fit_denoiser",
    "fit_mixture",
]
