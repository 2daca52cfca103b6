"""Speed: the bounds of this machine, and the program on it."""

from thermogen.studies.speed.run import SpeedSettings, bench

__all__ = ["SpeedSettings", "bench"]
