"""Published network weights: catalogue, download, conversion and the local cache."""
