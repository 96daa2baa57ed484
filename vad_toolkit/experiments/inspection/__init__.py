"""What a trained network does inside: similarity of features, attention of the interaction."""
