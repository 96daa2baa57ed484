"""Rendered videos: scenes, people and the folder that holds them."""
