"""Training of class-conditional computers."""
