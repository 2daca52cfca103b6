"""The reference process: images imprinted as fields on uncoupled units, then ramped away into noise."""

from thermogen.noising.imprints import IMPRINTS, Imprinted, imprint_fields
from thermogen.noising.process import (
    RampedField,
    Schedule,
    check_noising,
    in_generation_order,
    noising_start,
    noising_stretch,
)

__all__ = [
    "IMPRINTS",
    "Imprinted",
    "RampedField",
    "Schedule",
    "check_noising",
    "imprint_fields",
    "in_generation_order",
    "noising_start",
    "noising_stretch",
]
