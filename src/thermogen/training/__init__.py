"""Training by noising trajectories: batch, online and delayed rules, with checkpoints between cycles."""

from thermogen.storage.checkpoint import load_checkpoint, save_checkpoint
from thermogen.training.conditional.clusters import clusters
from thermogen.training.conditional.label_units import solve_label_fields
from thermogen.training.conditional.modes import ModeStatistics, mode_basis, mode_statistics, solve_modes
from thermogen.training.conditional.moment_matching import solve_matched
from thermogen.training.conditional.network import NetworkResult, train_network
from thermogen.training.conditional.refinement import (
    Refinement,
    TargetMoments,
    refine_moments,
    target_moments,
)
from thermogen.training.exact.solve import solve, solve_all_pairs
from thermogen.training.exact.statistics import Statistics
from thermogen.training.exact.summation import statistics
from thermogen.training.exact.train import train_exact
from thermogen.training.path_loss import VALIDATION_PATHS, path_loss
from thermogen.training.result import ExactResult, TrainingResult
from thermogen.training.sampled.noise import TrainingNoise
from thermogen.training.sampled.rules import OPTIMIZERS, RULES, Rule
from thermogen.training.sampled.train import Progress, train

__all__ = [
    "OPTIMIZERS",
    "RULES",
    "VALIDATION_PATHS",
    "ExactResult",
    "ModeStatistics",
    "NetworkResult",
    "Progress",
    "Refinement",
    "Rule",
    "Statistics",
    "TargetMoments",
    "TrainingNoise",
    "TrainingResult",
    "clusters",
    "load_checkpoint",
    "mode_basis",
    "mode_statistics",
    "path_loss",
    "refine_moments",
    "save_checkpoint",
    "solve",
    "solve_all_pairs",
    "solve_label_fields",
    "solve_matched",
    "solve_modes",
    "statistics",
    "target_moments",
    "train",
    "train_exact",
    "train_network",
]
