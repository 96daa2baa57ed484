"""Import, export and comparison of published feature files."""
