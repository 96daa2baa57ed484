"""Heads that score snippets: CLAV + CoMo and the baselines."""
