"""Layout `rtfm`: one .npy per video, (N, C, D) float32, named `<video>_i3d.npy`.

Released with RTFM (Tian et al., ICCV 2021) and read by the code of its successors, such as MGFN.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vad_toolkit.interchange.layouts.feature_reader import FileReader, snippet_first
from vad_toolkit.interchange.layouts.layout import (
    CROP_COUNTS,
    Layout,
    new_files,
    put,
    write_header,
)
from vad_toolkit.packs.video import SnippetBlocks


class Rtfm(Layout):
    """One file per video, snippets first."""

    axes = "(snippets, 10, 5 or 1 crops, dimensions)"
    crop_order = "torchvision"
    rule = "rtfm"

    def has_shape(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == 3 and shape[1] in CROP_COUNTS

    def open(self, paths: Sequence[Path]) -> FileReader:
        return snippet_first(self.open_array(paths[0]))

    def file_names(self, video: str, stream: str, crops: int) -> list[str]:
        return [f"{video}_i3d.npy"]

    def write(self, paths: Sequence[Path], stream: SnippetBlocks) -> None:
        with new_files(paths) as (file,):
            write_header(file, stream.shape, "<f4")
            for block in stream.blocks:
                put(file, block, "<f4")
