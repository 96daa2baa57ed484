"""Frames in: one forward pass over a video, in bounded memory, whatever the file does."""
