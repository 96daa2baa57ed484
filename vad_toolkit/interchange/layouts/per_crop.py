"""Layout `per-crop`: one .npy a crop of a video, `<video>__<crop>.npy`, (N, D) float32.

As the UCF-Crime features for DeepMIL's PyTorch code and those of XD-Violence (Wu et al., ECCV 2020)
are published; UR-DMU's code reads it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.array_file import ArrayFile
from vad_toolkit.interchange.layouts.feature_reader import CropFirst
from vad_toolkit.interchange.layouts.layout import (
    CROP_COUNTS,
    FileName,
    Layout,
    new_files,
    put,
    shape_error,
    write_header,
)
from vad_toolkit.packs.video import SnippetBlocks

_NAME = re.compile(r"(?P<video>.+)__(?P<crop>[0-9])\.npy", re.IGNORECASE | re.DOTALL)


class PerCrop(Layout):
    """One file a crop; a file without a crop's number is the only one of its video."""

    name = "per-crop"
    summary = "one .npy a crop, (snippets, numbers) float32, named <video>__<crop>.npy"
    crop_order = "deepmil"
    rule = "deepmil"

    def parse(self, path: str) -> FileName:
        """See `Layout.parse`."""
        found = _NAME.fullmatch(path)
        return FileName(found["video"], int(found["crop"])) if found else FileName(path)

    def open(self, paths: Sequence[Path]) -> CropFirst:
        """See `Layout.open`."""
        if len(paths) not in CROP_COUNTS:
            raise InputError(
                f"{paths[0]} and its like are {len(paths)} crops; a video has 10, 5 or 1: complete "
                "them, or leave the video out"
            )
        files = [ArrayFile(path) for path in paths]
        for file in files:
            if len(file.shape) != 2 or 0 in file.shape:
                hint = ""
                if len(file.shape) == 3:
                    hint = "three axes are --layout rtfm or ten-first"
                raise shape_error(file, self, "(snippets, numbers)", hint)
            if (file.shape, file.dtype) != (files[0].shape, files[0].dtype):
                raise InputError(
                    f"{file.path} is {file.dtype} {file.shape}, {files[0].path} is "
                    f"{files[0].dtype} {files[0].shape}: the crops of a video have one shape; copy "
                    "both again"
                )
        snippets, width = files[0].shape
        return CropFirst([(file, 0) for file in files], snippets, width)

    def file_names(self, video: str, stream: str, crops: int) -> list[str]:
        """See `Layout.file_names`."""
        return [f"{video}__{crop}.npy" for crop in range(crops)]

    def write(self, paths: Sequence[Path], stream: SnippetBlocks) -> None:
        """See `Layout.write`."""
        snippets, _, width = stream.shape
        with new_files(paths) as files:
            for file in files:
                write_header(file, (snippets, width), "<f4")
            for block in stream.blocks:
                for crop, file in enumerate(files):
                    put(file, block[:, crop], "<f4")
