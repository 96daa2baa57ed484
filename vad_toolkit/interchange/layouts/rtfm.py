"""Layout `rtfm`: one .npy per video, (N, C, D) float32, named `<video>_i3d.npy`.

Released with RTFM (Tian et al., ICCV 2021) and read by the code of its successors, such as MGFN.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vad_toolkit.interchange.layouts.array_file import ArrayFile
from vad_toolkit.interchange.layouts.feature_reader import SnippetFirst
from vad_toolkit.interchange.layouts.layout import (
    CROP_COUNTS,
    Layout,
    new_files,
    put,
    shape_error,
    write_header,
)
from vad_toolkit.packs.video import SnippetBlocks


class Rtfm(Layout):
    """One file per video, snippets first."""

    crop_order = "torchvision"
    rule = "rtfm"

    def has_shape(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == 3 and shape[1] in CROP_COUNTS

    def open(self, paths: Sequence[Path]) -> SnippetFirst:
        file = ArrayFile(paths[0])
        shape = file.shape
        if not self.has_shape(shape) or 0 in shape:
            hint = ""
            if len(shape) == 3 and shape[0] in CROP_COUNTS[:2]:
                hint = "this looks like --layout ten-first"
            elif len(shape) == 2:
                hint = "(snippets, dimensions) is --layout per-crop"
            raise shape_error(file, self, "(snippets, 10, 5 or 1 crops, dimensions)", hint)
        return SnippetFirst(file)

    def file_names(self, video: str, stream: str, crops: int) -> list[str]:
        return [f"{video}_i3d.npy"]

    def write(self, paths: Sequence[Path], stream: SnippetBlocks) -> None:
        with new_files(paths) as (file,):
            write_header(file, stream.shape, "<f4")
            for block in stream.blocks:
                put(file, block, "<f4")
