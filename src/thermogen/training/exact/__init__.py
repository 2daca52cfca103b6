"""Training by the exact average over all thermal noise."""
