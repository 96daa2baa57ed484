"""The built-in layouts of feature files, all known from published features and code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.feature_reader import Reader
from vad_toolkit.interchange.layouts.layout import (
    CROP_COUNTS,
    FileName,
    Layout,
    Shape,
    new_file,
    put,
    write_header,
)
from vad_toolkit.packs.video import SnippetBlocks

SEGMENTS = 32  # of a video in layout sultani
_CROP_NAME = re.compile(r"(?P<video>.+)__(?P<crop>[0-9])\.npy", re.IGNORECASE | re.DOTALL)
_STREAM_NAME = re.compile(r"(?P<video>.+)_(?P<stream>rgb|flow)\.npy", re.DOTALL)


class Rtfm(Layout):
    """One .npy per video, (N, C, D) float32, named `<video>_i3d.npy`.

    Released with RTFM (Tian et al., ICCV 2021) and read by the code of its successors, such as
    MGFN.
    """

    axes = "(snippets, 10, 5 or 1 crops, dimensions)"
    crop_order = "torchvision"
    rule = "rtfm"

    def has_shape(self, shape: Shape) -> bool:
        return len(shape) == 3 and shape[1] in CROP_COUNTS

    def file_names(self, video: str, stream: str, crops: int) -> list[str]:
        return [f"{video}_i3d.npy"]


class PerCrop(Layout):
    """One .npy per crop, (N, D) float32, named `<video>__<crop>.npy`.

    Used for the UCF-Crime features of DeepMIL's PyTorch code and for XD-Violence (Wu et al., ECCV
    2020), and read by UR-DMU's code. A file without a crop number is the only one of its video.
    """

    axes = "(snippets, dimensions)"
    crop_order = "deepmil"
    rule = "deepmil"

    def rule_for(self, dataset: str) -> str:
        return "xdviodet" if dataset == "xd-violence" else self.rule

    def has_names(self, names: Sequence[str]) -> bool:
        return any(_CROP_NAME.fullmatch(name) for name in names)

    def has_shape(self, shape: Shape) -> bool:
        return len(shape) == 2

    def parse(self, path: str) -> FileName:
        found = _CROP_NAME.fullmatch(path)
        return FileName(found["video"], int(found["crop"])) if found else FileName(path)

    def open(self, paths: Sequence[Path]) -> Reader:
        if len(paths) not in CROP_COUNTS:
            raise InputError(
                f"the video of {paths[0]} has {len(paths)} crops; it must have 10, 5 or 1: add the "
                "missing files, or leave the video out"
            )
        files = [self.open_array(path) for path in paths]
        first = files[0]
        for file in files[1:]:
            if (file.shape, file.dtype) != (first.shape, first.dtype):
                raise InputError(
                    f"{file.path} is {file.dtype} {file.shape} but {first.path} is {first.dtype} "
                    f"{first.shape}; all crops of a video must be alike: copy both again"
                )
        return Reader([(file, 0) for file in files], (first.shape[0], len(files), first.shape[1]))

    def file_names(self, video: str, stream: str, crops: int) -> list[str]:
        return [f"{video}__{crop}.npy" for crop in range(crops)]


class TenFirst(Layout):
    """One file per video, (C, N, D) float32, as .npy or as array `feature` of a .npz.

    Written by the extractors of UR-DMU (Zhou et al., AAAI 2023) and Finspire.
    """

    suffixes = (".npy", ".npz")
    axes = "(10, 5 or 1 crops, snippets, dimensions)"
    crop_order = "gowtham"
    rule = "vadclip"

    def has_shape(self, shape: Shape) -> bool:
        return len(shape) == 3 and shape[0] in CROP_COUNTS

    def open(self, paths: Sequence[Path]) -> Reader:
        file = self.open_array(paths[0])
        crops, snippets, width = file.shape
        places = [(file, crop * snippets * width) for crop in range(crops)]
        return Reader(places, (snippets, crops, width))

    def file_names(self, video: str, stream: str, crops: int) -> list[str]:
        return [f"{video}.npy"]

    def write(self, paths: Sequence[Path], stream: SnippetBlocks) -> None:
        snippets, crops, width = stream.shape
        with new_file(paths[0]) as file:
            write_header(file, (crops, snippets, width), self.dtype)
            offset, done = file.tell(), 0
            for block in stream.blocks:
                for crop in range(crops):
                    file.seek(offset + (crop * snippets + done) * width * 4)
                    put(file, block[:, crop], self.dtype)
                done += len(block)


class VideoFeaturesLayout(Layout):
    """`<video>_rgb.npy` and `<video>_flow.npy`, (N, D) float64, one crop.

    Written by Iashin's `video_features`, whose I3D takes the center crop of each stack of frames.
    """

    axes = "(snippets, dimensions)"
    crop_order = "center"
    rule = "xdviodet"  # a stack needs one frame more and the rest is dropped: floor((n - 1) / 16)
    dtype = "<f8"
    names_stream = True

    def has_names(self, names: Sequence[str]) -> bool:
        return all(_STREAM_NAME.fullmatch(name) for name in names)

    def has_shape(self, shape: Shape) -> bool:
        return len(shape) == 2

    def parse(self, path: str) -> FileName | None:
        found = _STREAM_NAME.fullmatch(path)
        return FileName(found["video"], stream=found["stream"]) if found else None

    def file_names(self, video: str, stream: str, crops: int) -> list[str]:
        return [f"{video}_{stream}.npy"]

    def check(self, shape: tuple[int, int, int]) -> None:
        if shape[1] != 1:
            raise InputError(
                f"layout {self.name} stores the center crop only, got {shape[1]} crops; choose "
                "--layout rtfm, per-crop or ten-first"
            )


class Sultani(Layout):
    """32 rows of numbers per video, as text or .npy, one crop.

    The form of the C3D features of Sultani et al. (CVPR 2018), (32, 4096): each row is the mean of
    one of 32 equal parts of the video.
    """

    suffixes = (".txt", ".npy")
    axes = f"({SEGMENTS}, dimensions)"
    crop_order = "center"
    rule = "frames"
    spans = "segments"

    def has_names(self, names: Sequence[str]) -> bool:
        return all(name.lower().endswith(".txt") for name in names)

    def has_shape(self, shape: Shape) -> bool:
        return len(shape) == 2 and shape[0] == SEGMENTS

    def file_names(self, video: str, stream: str, crops: int) -> list[str]:
        return [f"{video}.txt"]

    def check(self, shape: tuple[int, int, int]) -> None:
        snippets, crops, _ = shape
        if crops != 1 or snippets != SEGMENTS:
            raise InputError(
                f"layout {self.name} stores {SEGMENTS} rows of one crop, got {snippets} snippets "
                f"of {crops}; choose --layout rtfm, per-crop or ten-first"
            )

    def write(self, paths: Sequence[Path], stream: SnippetBlocks) -> None:
        with new_file(paths[0]) as file:
            for block in stream.blocks:
                np.savetxt(file, block[:, 0].astype(np.float32), fmt="%.9g")
