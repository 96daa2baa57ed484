"""Construction of manifests from folders of videos, CSV files and benchmark datasets."""
