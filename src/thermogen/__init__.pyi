from .computer import Computer, EnergyParts, make_computer
from .control import Conditional, Segments
from .couplings import (
    BlockCouplings,
    Compression,
    Couplings,
    EdgeCouplings,
    LowRankCouplings,
    NoCouplings,
    Units,
    all_to_all,
    compress,
    from_mask,
    linked,
    planes,
    published,
)
from .data import Images, load_digits, load_images
from .errors import DivergenceError, InputError
from .generation import Samples, generate
from .langevin import (
    Energy,
    EulerMaruyama,
    HeatAndWork,
    Integrator,
    LeimkuhlerMatthews,
    Observer,
    Snapshots,
    StochasticHeun,
    TimeSum,
    sample_uncoupled,
    simulate,
    stable_dt,
)
from .ledger import DigitalDenoiser, compare
from .noising import RampedField, Schedule, fields
from .path import forward_action, local_gradient, log_ratio, residuals, reverse_action
from .quality import prototype_scores
from .store import Model
from .thermodynamics import noising_path_ratio
from .training import Rule, path_loss, train, train_exact

__all__ = [
    "BlockCouplings",
    "Compression",
    "Computer",
    "Conditional",
    "Couplings",
    "DigitalDenoiser",
    "DivergenceError",
    "EdgeCouplings",
    "Energy",
    "EnergyParts",
    "EulerMaruyama",
    "HeatAndWork",
    "Images",
    "InputError",
    "Integrator",
    "LeimkuhlerMatthews",
    "LowRankCouplings",
    "Model",
    "NoCouplings",
    "Observer",
    "RampedField",
    "Rule",
    "Samples",
    "Schedule",
    "Segments",
    "Snapshots",
    "StochasticHeun",
    "TimeSum",
    "Units",
    "all_to_all",
    "compare",
    "compress",
    "fields",
    "forward_action",
    "from_mask",
    "generate",
    "linked",
    "load_digits",
    "load_images",
    "local_gradient",
    "log_ratio",
    "make_computer",
    "noising_path_ratio",
    "path_loss",
    "planes",
    "prototype_scores",
    "published",
    "residuals",
    "reverse_action",
    "sample_uncoupled",
    "simulate",
    "stable_dt",
    "train",
    "train_exact",
]
