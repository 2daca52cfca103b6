"""Generation: from noise to images by the computer's own dynamics, with the heat and work of every sample."""

from thermogen.generation.batch import check_horizon, check_segments
from thermogen.generation.generate import BATCH, generate
from thermogen.generation.samples import Samples
from thermogen.generation.time_step import suitable_dt

__all__ = ["BATCH", "Samples", "check_horizon", "check_segments", "generate", "suitable_dt"]
