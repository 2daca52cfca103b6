"""Training by noising trajectories: batch, online and delayed rules, with checkpoints between cycles."""

from thermogen.checkpoint import load_checkpoint, save_checkpoint
from thermogen.training.clusters import clusters
from thermogen.training.exact import ExactResult, solve, solve_all_pairs, train_exact
from thermogen.training.fit import VALIDATION_PATHS, Progress, TrainingResult, train
from thermogen.training.flaws import Flaws
from thermogen.training.label_units import solve_label_fields
from thermogen.training.matching import solve_matched
from thermogen.training.modes import ModeStatistics, mode_basis, mode_statistics, solve_modes
from thermogen.training.refinement import Refinement, TargetMoments, refine, target_moments
from thermogen.training.rules import OPTIMIZERS, RULES, Rule
from thermogen.training.statistics import Statistics
from thermogen.training.steering import SteeringResult, train_network
from thermogen.training.summation import statistics
from thermogen.training.validation import path_loss

__all__ = [
    "OPTIMIZERS",
    "RULES",
    "VALIDATION_PATHS",
    "ExactResult",
    "Flaws",
    "ModeStatistics",
    "Progress",
    "Refinement",
    "Rule",
    "Statistics",
    "SteeringResult",
    "TargetMoments",
    "TrainingResult",
    "clusters",
    "load_checkpoint",
    "mode_basis",
    "mode_statistics",
    "path_loss",
    "refine",
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
