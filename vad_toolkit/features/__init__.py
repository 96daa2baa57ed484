"""How a feature is made (recipe), making it (extraction), and where it lives (pack)."""
