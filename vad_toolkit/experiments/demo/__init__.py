"""A small labelled dataset made by code, and every stage run on it."""
