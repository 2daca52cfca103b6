"""Joules of a generated sample: the cost of each purpose, its evidence, and the digital comparison."""

from thermogen.ledger.lines import (
    DIGITAL,
    EVIDENCE,
    THERMODYNAMIC,
    Ledger,
    Line,
    joules_of_kT,
    make_ledger,
    published_ratio,
)
from thermogen.ledger.meter import Reading, measure_joules, nvml, rapl
from thermogen.ledger.parameters import BOLTZMANN, DigitalDenoiser, Parameters, default_text, load_parameters
from thermogen.ledger.workload import Workload, simulation_flops, switching_work, workload_of

__all__ = [
    "BOLTZMANN",
    "DIGITAL",
    "EVIDENCE",
    "THERMODYNAMIC",
    "DigitalDenoiser",
    "Ledger",
    "Line",
    "Parameters",
    "Reading",
    "Workload",
    "default_text",
    "joules_of_kT",
    "load_parameters",
    "make_ledger",
    "measure_joules",
    "nvml",
    "published_ratio",
    "rapl",
    "simulation_flops",
    "switching_work",
    "workload_of",
]
