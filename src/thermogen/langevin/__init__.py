"""Langevin dynamics: integrators, compiled trajectories, observers, exact equilibrium of single units."""

from thermogen.langevin.equilibrium import mean_in_field, sample_uncoupled
from thermogen.langevin.integrators import (
    INTEGRATORS,
    EulerMaruyama,
    Integrator,
    LeimkuhlerMatthews,
    StochasticHeun,
    named_integrator,
)
from thermogen.langevin.noise import sample_keys, standard_normal
from thermogen.langevin.observers import Energy, HeatAndWork, Observer, Snapshots, TimeSum
from thermogen.langevin.simulate import Trajectory, integrate, simulate, whole_steps
from thermogen.langevin.stability import check_escape, stable_dt

__all__ = [
    "INTEGRATORS",
    "Energy",
    "EulerMaruyama",
    "HeatAndWork",
    "Integrator",
    "LeimkuhlerMatthews",
    "Observer",
    "Snapshots",
    "StochasticHeun",
    "TimeSum",
    "Trajectory",
    "check_escape",
    "integrate",
    "mean_in_field",
    "named_integrator",
    "sample_keys",
    "sample_uncoupled",
    "simulate",
    "stable_dt",
    "standard_normal",
    "whole_steps",
]
