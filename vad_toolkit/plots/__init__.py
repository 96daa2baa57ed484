"""Plots of scores, curves and distributions."""
