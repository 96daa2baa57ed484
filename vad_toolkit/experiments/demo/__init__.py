"""A small labeled dataset made by code, and every stage run on it."""
