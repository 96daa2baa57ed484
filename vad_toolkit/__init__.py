"""Weakly-supervised video anomaly detection, from raw video to frame-level AUC."""

__version__ = "0.1.0"
