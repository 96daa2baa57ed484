"""Metrics, and the evaluation of a checkpoint on a pack."""
