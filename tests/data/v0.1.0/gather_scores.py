"""Gather the frame scores that evaluations wrote: one array a video, named RUN/VIDEO.

Usage: python gather_scores.py SCORES OUT.npz
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    root = Path(sys.argv[1])
    found = {}
    for path in sorted(root.rglob("*.npy")):
        name = path.relative_to(root).as_posix()
        found[name.replace("/scores/", "/").removesuffix(".npy")] = np.load(path)
    np.savez_compressed(sys.argv[2], allow_pickle=False, **found)
