"""Figures, films and the one-page report of a run."""
