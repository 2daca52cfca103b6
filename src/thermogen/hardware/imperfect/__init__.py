"""Devices that differ from the ideal computer."""
