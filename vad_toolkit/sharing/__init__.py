"""Files that accompany shared feature packs: dataset card, metadata and checksums."""
