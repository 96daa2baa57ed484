"""Recipes: everything that determines the value of a feature."""
