"""Stored models as circuits: wired on a platform, run by ngspice, laid beside our own engine."""

from thermogen.circuits.chip import Chip, damaged_model, deck_of, make_chip, transient_of
from thermogen.circuits.run import verify_model, verify_random

__all__ = ["Chip", "damaged_model", "deck_of", "make_chip", "transient_of", "verify_model", "verify_random"]
