"""Which videos there are, what is known of them, and their frame-level ground truth."""
