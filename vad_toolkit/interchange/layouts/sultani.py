"""Layout `sultani`: a text of 32 rows of numbers a video, or the same as .npy; one crop.

As the C3D features of Sultani et al. (CVPR 2018), 32 x 4096: the mean of each of 32 equal parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.array_file import ArrayFile, read_text_array
from vad_toolkit.interchange.layouts.feature_reader import InMemory, Reader, SnippetFirst
from vad_toolkit.interchange.layouts.layout import Layout, new_files, shape_error
from vad_toolkit.packs.video import SnippetBlocks

SEGMENTS = 32


class Sultani(Layout):
    """One file a video, a row a segment."""

    name = "sultani"
    summary = "a text (.txt) or .npy a video, 32 rows of numbers, each of a 32nd of the video"
    suffixes = (".txt", ".npy")
    crop_order = "center"
    rule = "frames"
    spans = "segments"

    def open(self, paths: Sequence[Path]) -> Reader:
        """See `Layout.open`."""
        path = paths[0]
        if path.suffix.lower() == ".npy":
            file = ArrayFile(path)
            if len(file.shape) != 2 or file.shape[0] != SEGMENTS or 0 in file.shape:
                raise shape_error(file, self, f"({SEGMENTS}, numbers)")
            return SnippetFirst(file)
        array = read_text_array(path)
        if array.shape[0] != SEGMENTS or 0 in array.shape:
            raise InputError(
                f"{path} has {array.shape[0]} rows of numbers: layout {self.name} has {SEGMENTS}; "
                "check --layout"
            )
        return InMemory(array)

    def file_names(self, video: str, stream: str, crops: int) -> list[str]:
        """See `Layout.file_names`."""
        return [f"{video}.txt"]

    def check(self, shape: tuple[int, int, int]) -> None:
        """See `Layout.check`."""
        snippets, crops, _ = shape
        if crops != 1 or snippets != SEGMENTS:
            raise InputError(
                f"layout {self.name} has {SEGMENTS} rows of one crop, and these features have "
                f"{snippets} snippets of {crops}: choose --layout rtfm, per-crop or ten-first"
            )

    def write(self, paths: Sequence[Path], stream: SnippetBlocks) -> None:
        """See `Layout.write`."""
        self.check(stream.shape)
        with new_files(paths) as (file,):
            for block in stream.blocks:
                np.savetxt(file, block[:, 0].astype(np.float32), fmt="%.9g")
