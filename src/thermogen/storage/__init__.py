"""Models, arrays, checkpoints and run folders on disk."""
