from . import (
    control,
    couplings,
    langevin,
    ledger,
    noising,
    parallel,
    quality,
    recipes,
    thermodynamics,
    training,
)
from .computer import Computer, Control, make_computer
from .control import Clamp, LabelFields, ModeTable, PerClass, Segments
from .couplings import Units, published_couplings
from .data import Images, load_digits, load_images, load_split
from .errors import DivergenceError, InputError
from .generation import Samples, generate, suitable_dt
from .langevin import EulerMaruyama, LeimkuhlerMatthews, StochasticHeun, simulate, stable_dt
from .ledger import make_ledger
from .noising import Schedule, imprint_fields
from .storage.model import Model
from .thermodynamics import noising_path_ratio
from .training import Rule, train, train_exact

__version__: str

__all__ = [
    "Clamp",
    "Computer",
    "Control",
    "DivergenceError",
    "EulerMaruyama",
    "Images",
    "InputError",
    "LabelFields",
    "LeimkuhlerMatthews",
    "ModeTable",
    "Model",
    "PerClass",
    "Rule",
    "Samples",
    "Schedule",
    "Segments",
    "StochasticHeun",
    "Units",
    "control",
    "couplings",
    "generate",
    "imprint_fields",
    "langevin",
    "ledger",
    "load_digits",
    "load_images",
    "load_split",
    "make_computer",
    "make_ledger",
    "noising",
    "noising_path_ratio",
    "parallel",
    "published_couplings",
    "quality",
    "recipes",
    "simulate",
    "stable_dt",
    "suitable_dt",
    "thermodynamics",
    "train",
    "train_exact",
    "training",
]
