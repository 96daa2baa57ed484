"""Composition of untrimmed, weakly-labeled videos from trimmed clips, on features."""
