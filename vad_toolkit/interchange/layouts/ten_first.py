"""Layout `ten-first`: one file a video, (10, N, D): .npy, or .npz with the array `feature`.

As the extractor that comes with UR-DMU (Zhou et al., AAAI 2023) and Finspire's write them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vad_toolkit.interchange.layouts.array_file import ArrayFile
from vad_toolkit.interchange.layouts.feature_reader import CropFirst
from vad_toolkit.interchange.layouts.layout import (
    CROP_COUNTS,
    Layout,
    new_files,
    put,
    shape_error,
    write_header,
)
from vad_toolkit.packs.video import SnippetBlocks


class TenFirst(Layout):
    """One file a video, crops first."""

    name = "ten-first"
    summary = "one .npy a video, (crops, snippets, numbers), or .npz with the array 'feature'"
    suffixes = (".npy", ".npz")
    crop_order = "gowtham"
    rule = "vadclip"

    def open(self, paths: Sequence[Path]) -> CropFirst:
        """See `Layout.open`."""
        file = ArrayFile(paths[0])
        shape = file.shape
        if len(shape) != 3 or shape[0] not in CROP_COUNTS or 0 in shape:
            hint = ""
            if len(shape) == 3 and shape[1] in CROP_COUNTS:
                hint = "this looks like --layout rtfm"
            elif len(shape) == 2:
                hint = "(snippets, numbers) is --layout per-crop"
            raise shape_error(file, self, "(crops, snippets, numbers), 10, 5 or 1 crops", hint)
        crops, snippets, width = shape
        places = [(file, crop * snippets * width) for crop in range(crops)]
        return CropFirst(places, snippets, width)

    def file_names(self, video: str, stream: str, crops: int) -> list[str]:
        """See `Layout.file_names`."""
        return [f"{video}.npy"]

    def write(self, paths: Sequence[Path], stream: SnippetBlocks) -> None:
        """See `Layout.write`."""
        snippets, crops, width = stream.shape
        with new_files(paths) as (file,):
            write_header(file, (crops, snippets, width), "<f4")
            offset, done = file.tell(), 0
            for block in stream.blocks:
                for crop in range(crops):
                    file.seek(offset + (crop * snippets + done) * width * 4)
                    put(file, block[:, crop], "<f4")
                done += len(block)
