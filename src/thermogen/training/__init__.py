"""Training by noising trajectories: batch, online and delayed rules, with checkpoints between cycles."""

from thermogen.checkpoint import load_checkpoint, save_checkpoint
from thermogen.training.exact import ExactResult, solve, solve_all_pairs, train_exact
from thermogen.training.fit import VALIDATION_PATHS, Progress, TrainingResult, train
from thermogen.training.rules import OPTIMIZERS, RULES, Rule
from thermogen.training.statistics import Statistics, statistics
from thermogen.training.validation import path_loss

__all__ = [
    "OPTIMIZERS",
    "RULES",
    "VALIDATION_PATHS",
    "ExactResult",
    "Progress",
    "Rule",
    "Statistics",
    "TrainingResult",
    "load_checkpoint",
    "path_loss",
    "save_checkpoint",
    "solve",
    "solve_all_pairs",
    "statistics",
    "train",
    "train_exact",
]
