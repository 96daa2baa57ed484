"""Optical flow between consecutive frames: TV-L1 and RAFT behind one interface."""
