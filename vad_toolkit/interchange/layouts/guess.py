"""The layout of files for which none is given: from their names, and the shape of the first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vad_toolkit.interchange.layouts.array_file import ArrayFile
from vad_toolkit.interchange.layouts.layout import CROP_COUNTS, Layout
from vad_toolkit.interchange.layouts.registry import LAYOUTS

_CROP_FILE = re.compile(r"__[0-9]\.npy$", re.IGNORECASE)


def guess_layout(paths: Sequence[Path]) -> Layout:
    """The layout of files of features.

    Three axes are (N, C, D) where the second can be a count of crops, else (C, N, D); two are one
    crop, (N, D).

    Raises:
        InputError: the first file cannot be read.
    """
    names = [path.name for path in paths]
    if all(name.endswith(("_rgb.npy", "_flow.npy")) for name in names):
        return LAYOUTS["video-features"]
    if all(name.lower().endswith(".txt") for name in names):
        return LAYOUTS["sultani"]
    if any(_CROP_FILE.search(name) for name in names):
        return LAYOUTS["per-crop"]
    shape = ArrayFile(paths[0]).shape
    if len(shape) == 2:
        return LAYOUTS["per-crop"]
    crops_second = len(shape) == 3 and shape[1] in CROP_COUNTS
    return LAYOUTS["rtfm" if crops_second or len(shape) != 3 else "ten-first"]
