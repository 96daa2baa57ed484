"""Layout `sultani`: 32 rows of numbers per video, as text or .npy, one crop.

The form of the C3D features of Sultani et al. (CVPR 2018), (32, 4096): each row is the mean of one
of 32 equal parts of the video.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.array_file import read_text_array
from vad_toolkit.interchange.layouts.feature_reader import InMemory, Reader, snippet_first
from vad_toolkit.interchange.layouts.layout import Layout, new_files
from vad_toolkit.packs.video import SnippetBlocks

SEGMENTS = 32


class Sultani(Layout):
    """One file per video, one row per segment."""

    suffixes = (".txt", ".npy")
    axes = f"({SEGMENTS}, dimensions)"
    crop_order = "center"
    rule = "frames"
    spans = "segments"

    def has_names(self, names: Sequence[str]) -> bool:
        return all(name.lower().endswith(".txt") for name in names)

    def has_shape(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == 2 and shape[0] == SEGMENTS

    def open(self, paths: Sequence[Path]) -> Reader:
        path = paths[0]
        if path.suffix.lower() == ".npy":
            return snippet_first(self.open_array(path))
        array = read_text_array(path)
        if array.shape[0] != SEGMENTS or 0 in array.shape:
            raise InputError(
                f"{path} has {array.shape[0]} rows of numbers; layout {self.name} has {SEGMENTS}: "
                "check --layout"
            )
        return InMemory(array)

    def file_names(self, video: str, stream: str, crops: int) -> list[str]:
        return [f"{video}.txt"]

    def check(self, shape: tuple[int, int, int]) -> None:
        snippets, crops, _ = shape
        if crops != 1 or snippets != SEGMENTS:
            raise InputError(
                f"layout {self.name} stores {SEGMENTS} rows of one crop, got {snippets} snippets "
                f"of {crops}; choose --layout rtfm, per-crop or ten-first"
            )

    def write(self, paths: Sequence[Path], stream: SnippetBlocks) -> None:
        with new_files(paths) as (file,):
            for block in stream.blocks:
                np.savetxt(file, block[:, 0].astype(np.float32), fmt="%.9g")
