"""From the dimensionless computer to a device: platforms, physical units and back."""

from thermogen.hardware.physical import PhysicalComputer, figures, to_physical
from thermogen.hardware.platforms import Platform, electrical, mechanical, superconducting

__all__ = [
    "PhysicalComputer",
    "Platform",
    "electrical",
    "figures",
    "mechanical",
    "superconducting",
    "to_physical",
]
