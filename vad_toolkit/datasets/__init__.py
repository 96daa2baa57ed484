"""Datasets: manifests of videos, their construction, and frame-level ground truth."""
