"""The networks that turn snippets into features, and their weights."""
