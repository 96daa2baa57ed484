"""Layout `video-features`: `<video>_rgb.npy` and `<video>_flow.npy`, (N, D) float64.

As Iashin's `video_features` writes what its I3D extracts from the centre of each stack of frames.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.array_file import ArrayFile
from vad_toolkit.interchange.layouts.feature_reader import SnippetFirst
from vad_toolkit.interchange.layouts.layout import (
    FileName,
    Layout,
    new_files,
    put,
    shape_error,
    write_header,
)
from vad_toolkit.packs.video import SnippetBlocks

_NAME = re.compile(r"(?P<video>.+)_(?P<stream>rgb|flow)\.npy", re.DOTALL)


class VideoFeaturesLayout(Layout):
    """One file a stream of a video, one crop."""

    name = "video-features"
    summary = "<video>_rgb.npy and <video>_flow.npy, (snippets, numbers) float64, centre crop"
    crop_order = "center"
    rule = "xdviodet"  # a stack needs one frame more, what is left is dropped: floor((n - 1) / 16)
    names_stream = True

    def parse(self, path: str) -> FileName | None:
        """See `Layout.parse`."""
        found = _NAME.fullmatch(path)
        return FileName(found["video"], stream=found["stream"]) if found else None

    def open(self, paths: Sequence[Path]) -> SnippetFirst:
        """See `Layout.open`."""
        file = ArrayFile(paths[0])
        if len(file.shape) != 2 or 0 in file.shape:
            raise shape_error(file, self, "(snippets, numbers)")
        return SnippetFirst(file)

    def file_names(self, video: str, stream: str, crops: int) -> list[str]:
        """See `Layout.file_names`."""
        return [f"{video}_{stream}.npy"]

    def check(self, shape: tuple[int, int, int]) -> None:
        """See `Layout.check`."""
        if shape[1] != 1:
            raise InputError(
                f"layout {self.name} has the centre crop alone, and these features have {shape[1]} "
                "crops: choose --layout rtfm, per-crop or ten-first"
            )

    def write(self, paths: Sequence[Path], stream: SnippetBlocks) -> None:
        """See `Layout.write`."""
        self.check(stream.shape)
        snippets, _, width = stream.shape
        with new_files(paths) as (file,):
            write_header(file, (snippets, width), "<f8")
            for block in stream.blocks:
                put(file, block[:, 0], "<f8")
