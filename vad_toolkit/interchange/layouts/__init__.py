"""Layouts of published feature files: recognizing, reading and writing them."""
