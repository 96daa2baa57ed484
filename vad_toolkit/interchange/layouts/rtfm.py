"""Layout `rtfm`: one .npy a video, (N, 10, D) float32.

As released with RTFM (Tian et al., ICCV 2021) and read by its successors; MGFN's code reads it too.
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
    """One file a video, snippets first."""

    name = "rtfm"
    summary = "one .npy a video, (snippets, crops, numbers) float32, named <video>_i3d.npy"
    crop_order = "torchvision"
    rule = "rtfm"

    def open(self, paths: Sequence[Path]) -> SnippetFirst:
        """See `Layout.open`."""
        file = ArrayFile(paths[0])
        shape = file.shape
        if len(shape) != 3 or shape[1] not in CROP_COUNTS or 0 in shape:
            hint = ""
            if len(shape) == 3 and shape[0] in CROP_COUNTS[:2]:
                hint = "this looks like --layout ten-first"
            elif len(shape) == 2:
                hint = "(snippets, numbers) is --layout per-crop"
            raise shape_error(file, self, "(snippets, crops, numbers), 10, 5 or 1 crops", hint)
        return SnippetFirst(file)

    def file_names(self, video: str, stream: str, crops: int) -> list[str]:
        """See `Layout.file_names`."""
        return [f"{video}_i3d.npy"]

    def write(self, paths: Sequence[Path], stream: SnippetBlocks) -> None:
        """See `Layout.write`."""
        with new_files(paths) as (file,):
            write_header(file, stream.shape, "<f4")
            for block in stream.blocks:
                put(file, block, "<f4")
