"""Decoder backends: PyAV, Decord and images."""
