"""Representations of the symmetric coupling matrix J, and topologies."""

from thermogen.couplings.base import (
    MOST_DENSE_PAIRS,
    MOST_DENSE_UNITS,
    Couplings,
    NoCouplings,
    PairCouplings,
    Units,
    as_pairs,
    check_dense,
    narrowed,
)
from thermogen.couplings.blocks import BlockCouplings
from thermogen.couplings.compression import Compression, compress
from thermogen.couplings.edges import EdgeCouplings, checked_pairs
from thermogen.couplings.low_rank import LowRankCouplings, checked_factors, low_rank
from thermogen.couplings.modes import ModeCouplings, through_modes
from thermogen.couplings.quantisation import quantised
from thermogen.couplings.split_state import SplitState
from thermogen.couplings.topology import (
    LINKS,
    all_to_all,
    checked_matrix,
    from_links,
    from_mask,
    from_pairs,
    planes,
    published_couplings,
    scattered,
)

__all__ = [
    "LINKS",
    "MOST_DENSE_PAIRS",
    "MOST_DENSE_UNITS",
    "BlockCouplings",
    "Compression",
    "Couplings",
    "EdgeCouplings",
    "LowRankCouplings",
    "ModeCouplings",
    "NoCouplings",
    "PairCouplings",
    "SplitState",
    "Units",
    "all_to_all",
    "as_pairs",
    "check_dense",
    "checked_factors",
    "checked_matrix",
    "checked_pairs",
    "compress",
    "from_links",
    "from_mask",
    "from_pairs",
    "low_rank",
    "narrowed",
    "planes",
    "published_couplings",
    "quantised",
    "scattered",
    "through_modes",
]
