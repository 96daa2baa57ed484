"""Experiments that may change without notice: synthetic videos, demo, context-motion, ablation."""
