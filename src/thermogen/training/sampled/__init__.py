"""Training by sampled noising trajectories."""
