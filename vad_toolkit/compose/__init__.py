"""Untrimmed, weakly-labelled videos composed of trimmed clips."""
