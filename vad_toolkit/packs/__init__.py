"""Feature packs: HDF5 files that hold the features of many videos with their recipe."""
