"""Whole studies of a computer: settings, training runs, and what is measured of them."""
