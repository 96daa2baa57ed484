"""Composition of untrimmed, weakly-labelled videos from trimmed clips, on features."""
