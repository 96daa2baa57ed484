"""Scores of snippets and frames, alarms, and the prediction of new videos."""
