"""Layout `video-features`: `<video>_rgb.npy` and `<video>_flow.npy`, (N, D) float64.

Written by Iashin's `video_features`, whose I3D takes the center crop of each stack of frames.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.feature_reader import FileReader, snippet_first
from vad_toolkit.interchange.layouts.layout import FileName, Layout, write_crops
from vad_toolkit.packs.video import SnippetBlocks

_NAME = re.compile(r"(?P<video>.+)_(?P<stream>rgb|flow)\.npy", re.DOTALL)


class VideoFeaturesLayout(Layout):
    """One file per modality of a video, one crop."""

    axes = "(snippets, dimensions)"
    crop_order = "center"
    rule = "xdviodet"  # a stack needs one frame more and the rest is dropped: floor((n - 1) / 16)
    names_stream = True

    def has_names(self, names: Sequence[str]) -> bool:
        return all(_NAME.fullmatch(name) for name in names)

    def has_shape(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == 2

    def parse(self, path: str) -> FileName | None:
        found = _NAME.fullmatch(path)
        return FileName(found["video"], stream=found["stream"]) if found else None

    def open(self, paths: Sequence[Path]) -> FileReader:
        return snippet_first(self.open_array(paths[0]))

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
