"""Frame-level ground truth: labels from events, and the rules of published code."""
