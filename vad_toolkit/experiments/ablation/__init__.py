"""Ablations: a table of settings, trained over seeds, evaluated once, compared in pairs."""
