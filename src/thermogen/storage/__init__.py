"""Models, arrays, checkpoints, kept results and run folders on disk."""
