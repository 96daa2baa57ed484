"""Published feature files in and out, and the comparison of two feature sets."""
