"""Official splits, labels and events in the manifest format, one folder per dataset."""
