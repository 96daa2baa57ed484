"""Layout `video-features`: `<video>_rgb.npy` and `<video>_flow.npy`, (N, D) float64.

Written by Iashin's `video_features`, whose I3D takes the center crop of each stack of frames.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.array_file import ArrayFile
from vad_toolkit.interchange.layouts.feature_reader import SnippetFirst
from vad_toolkit.interchange.layouts.layout import FileName, Layout, shape_error, write_crops
from vad_toolkit.packs.video import SnippetBlocks

_NAME = re.compile(r"(?P<video>.+)_(?P<stream>rgb|flow)\.npy", re.DOTALL)


class VideoFeaturesLayout(Layout):
    """One file per modality of a video, one crop."""

    crop_order = "center"
    rule = "xdviodet"  # a stack needs one frame more and the rest is dropped: floor((n - 1) / 16)
    names_stream = True

    def has_names(self, names: Sequence[str]) -> bool:
        return all(_NAME.fullmatch(name) for name in names)

    def parse(self, path: str) -> FileName | None:
        found = _NAME.fullmatch(path)
        return FileName(found["video"], stream=found["stream"]) if found else None

    def open(self, paths: Sequence[Path]) -> SnippetFirst:
        file = ArrayFile(paths[0])
        if len(file.shape) != 2 or 0 in file.shape:
            raise shape_error(file, self, "(snippets, dimensions)")
        return SnippetFirst(file)

    def file_names(self, video: str, stream: str, crops: int) -> list[str]:
        return [f"{video}_{stream}.npy"]

    def check(self, shape: tuple[int, int, int]) -> None:
        if shape[1] != 1:
            raise InputError(
                f"layout {self.name} stores the center crop only, got {shape[1]} crops; choose "
                "--layout rtfm, per-crop or ten-first"
            )

    def write(self, paths: Sequence[Path], stream: SnippetBlocks) -> None:
        write_crops(paths, stream, "<f8")
