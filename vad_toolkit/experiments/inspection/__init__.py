"""Inspection of a trained network: similarity of features, attention of the interaction space."""
