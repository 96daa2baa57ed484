"""Feature files as the field publishes them: finding, reading and writing each layout."""
