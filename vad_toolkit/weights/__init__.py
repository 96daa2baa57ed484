"""Published network weights: catalog, download, conversion and the local cache."""
