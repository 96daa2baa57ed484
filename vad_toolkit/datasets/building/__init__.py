"""Manifests from folders of videos, CSV files and official lists."""
