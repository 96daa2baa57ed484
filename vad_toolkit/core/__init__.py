"""Helpers without knowledge of video or features: files, locks, ids, devices, processes."""
