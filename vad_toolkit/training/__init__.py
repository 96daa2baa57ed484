"""Training a head on a pack."""
