"""What goes with feature packs when they are given to others: card, metadata, checksums."""
