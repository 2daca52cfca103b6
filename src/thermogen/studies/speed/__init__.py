"""What this machine could do at most, and what the program does on it."""

from thermogen.studies.speed.run import SpeedSettings, bench

__all__ = ["SpeedSettings", "bench"]
