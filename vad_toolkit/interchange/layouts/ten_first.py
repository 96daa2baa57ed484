"""Layout `ten-first`: one file per video, (C, N, D), as .npy or as array `feature` of a .npz.

Written by the extractors of UR-DMU (Zhou et al., AAAI 2023) and Finspire.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vad_toolkit.interchange.layouts.feature_reader import FileReader
from vad_toolkit.interchange.layouts.layout import (
    CROP_COUNTS,
    Layout,
    new_files,
    put,
    write_header,
)
from vad_toolkit.packs.video import SnippetBlocks


class TenFirst(Layout):
    """One file per video, crops first."""

    suffixes = (".npy", ".npz")
    axes = "(10, 5 or 1 crops, snippets, dimensions)"
    crop_order = "gowtham"
    rule = "vadclip"

    def has_shape(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == 3 and shape[0] in CROP_COUNTS

    def open(self, paths: Sequence[Path]) -> FileReader:
        file = self.open_array(paths[0])
        crops, snippets, width = file.shape
        places = [(file, crop * snippets * width) for crop in range(crops)]
        return FileReader(places, (snippets, crops, width))

    def file_names(self, video: str, stream: str, crops: int) -> list[str]:
        return [f"{video}.npy"]

    def write(self, paths: Sequence[Path], stream: SnippetBlocks) -> None:
        snippets, crops, width = stream.shape
        with new_files(paths) as (file,):
            write_header(file, (crops, snippets, width), "<f4")
            offset, done = file.tell(), 0
            for block in stream.blocks:
                for crop in range(crops):
                    file.seek(offset + (crop * snippets + done) * width * 4)
                    put(file, block[:, crop], "<f4")
                done += len(block)
