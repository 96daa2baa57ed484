"""Layout `per-crop`: one .npy per crop, (N, D) float32, named `<video>__<crop>.npy`.

Used for the UCF-Crime features of DeepMIL's PyTorch code and for XD-Violence (Wu et al., ECCV
2020), and read by UR-DMU's code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.feature_reader import FileReader
from vad_toolkit.interchange.layouts.layout import (
    CROP_COUNTS,
    FileName,
    Layout,
    write_crops,
)
from vad_toolkit.packs.video import SnippetBlocks

_NAME = re.compile(r"(?P<video>.+)__(?P<crop>[0-9])\.npy", re.IGNORECASE | re.DOTALL)


class PerCrop(Layout):
    """One file per crop. A file without a crop number is the only one of its video."""

    axes = "(snippets, dimensions)"
    crop_order = "deepmil"
    rule = "deepmil"

    def rule_for(self, dataset: str) -> str:
        return "xdviodet" if dataset == "xd-violence" else self.rule

    def has_names(self, names: Sequence[str]) -> bool:
        return any(_NAME.fullmatch(name) for name in names)

    def has_shape(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == 2

    def parse(self, path: str) -> FileName:
        found = _NAME.fullmatch(path)
        return FileName(found["video"], int(found["crop"])) if found else FileName(path)

    def open(self, paths: Sequence[Path]) -> FileReader:
        if len(paths) not in CROP_COUNTS:
            raise InputError(
                f"the video of {paths[0]} has {len(paths)} crops; it must have 10, 5 or 1: add the "
                "missing files, or leave the video out"
            )
        files = [self.open_array(path) for path in paths]
        for file in files[1:]:
            if (file.shape, file.dtype) != (files[0].shape, files[0].dtype):
                raise InputError(
                    f"{file.path} is {file.dtype} {file.shape} but {files[0].path} is "
                    f"{files[0].dtype} {files[0].shape}; all crops of a video must be alike: copy "
                    "both again"
                )
        snippets, width = files[0].shape
        return FileReader([(file, 0) for file in files], (snippets, len(files), width))

    def file_names(self, video: str, stream: str, crops: int) -> list[str]:
        return [f"{video}__{crop}.npy" for crop in range(crops)]

    def write(self, paths: Sequence[Path], stream: SnippetBlocks) -> None:
        write_crops(paths, stream, "<f4")
