"""Scoring new videos."""
