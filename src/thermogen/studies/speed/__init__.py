"""What this machine could do at most, and what the program does on it."""

from thermogen.studies.speed.run import Bench, bench

__all__ = ["Bench", "bench"]
