"""How the symmetric coupling matrix J is held and applied: who is coupled to whom, and by how much."""

from thermogen.couplings.base import Couplings, NoCouplings, Units
from thermogen.couplings.blocks import BlockCouplings
from thermogen.couplings.compression import Compression, compress
from thermogen.couplings.edges import EdgeCouplings
from thermogen.couplings.lowrank import LowRankCouplings, checked_factors
from thermogen.couplings.modes import ModeCouplings
from thermogen.couplings.storage import quantised
from thermogen.couplings.topology import (
    LINKS,
    all_to_all,
    checked_matrix,
    from_mask,
    linked,
    planes,
    published,
)

__all__ = [
    "LINKS",
    "BlockCouplings",
    "Compression",
    "Couplings",
    "EdgeCouplings",
    "LowRankCouplings",
    "ModeCouplings",
    "NoCouplings",
    "Units",
    "all_to_all",
    "checked_factors",
    "checked_matrix",
    "compress",
    "from_mask",
    "linked",
    "planes",
    "published",
    "quantised",
]
