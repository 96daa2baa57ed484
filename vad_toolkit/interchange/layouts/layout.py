"""Base class of feature-file layouts, and helpers to write their files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.array_file import ArrayFile
from vad_toolkit.interchange.layouts.feature_reader import Reader
from vad_toolkit.packs.video import SnippetBlocks

CROP_COUNTS = (10, 5, 1)
Shape = tuple[int, ...]
STREAMS: tuple[Literal["rgb", "flow"], ...] = ("rgb", "flow")


@dataclass(frozen=True)
class FileName:
    """The parts of a file's name: the video as published, crop number and, if named, modality.

    `video` may still have folders, a suffix and tags, which `datasets.names` removes.
    """

    video: str
    crop: int = 0
    stream: str | None = None


class Layout(ABC):
    """A way to store features in files: how files are named, recognized, read and written.

    Attributes:
        name: The name in the registry.
        suffixes: Suffixes of its files, in lower case.
        axes: The shape of its arrays, for messages: "(snippets, dimensions)".
        crop_order: The usual order of crops, by name (`core.crops`).
        rule: The usual ground-truth rule, which gives the number of snippets of a video.
        dtype: The type of the numbers that `write` stores.
        spans: "step" if a snippet covers a fixed number of frames, "segments" if it covers one of
            N equal parts of the video.
        names_stream: Whether a file's name tells its modality, so that one folder has both.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".npy",)
    axes: ClassVar[str]
    crop_order: ClassVar[str]
    rule: ClassVar[str]
    dtype: ClassVar[str] = "<f4"
    spans: ClassVar[Literal["step", "segments"]] = "step"
    names_stream: ClassVar[bool] = False

    def __init__(self, name: str, with_shape: Callable[[Shape, str], list[str]] | None = None):
        self.name = name
        self._with_shape = with_shape  # names of the layouts for a shape and a suffix

    def rule_for(self, dataset: str) -> str:
        """Return the rule that features of a dataset usually follow in this layout."""
        return self.rule

    def has_names(self, names: Sequence[str]) -> bool:
        """Return True if files with these names, without folders, can only be of this layout."""
        return False

    def has_shape(self, shape: Shape) -> bool:
        """Return True if this layout has arrays of this shape, apart from empty axes."""
        return False

    def parse(self, path: str) -> FileName | None:
        """Split a relative path into its parts, or return None if it is not of this layout."""
        return FileName(path)

    def open_array(self, path: Path) -> ArrayFile:
        """Open a file. Raises InputError if its array does not have the layout's shape."""
        file = ArrayFile(path)
        if not self.has_shape(file.shape) or 0 in file.shape:
            others = self._with_shape(file.shape, path.suffix) if self._with_shape else []
            hint = f"it looks like --layout {' or '.join(others)}" if others else "check --layout"
            raise InputError(
                f"{path} has shape {file.shape}; layout {self.name} has {self.axes}: "
                + (hint if self.name not in others else "no axis may be empty")
            )
        return file

    def open(self, paths: Sequence[Path]) -> Reader:
        """Open the files of one modality of one video, in the order of their crop numbers.

        By default one file has all crops, (N, C, D), or (N, D) for a single crop.

        Raises:
            InputError: If a file cannot be read or its shape is not that of the layout.
        """
        file = self.open_array(paths[0])
        snippets, *crops, width = file.shape
        return Reader([(file, 0)], (snippets, crops[0] if crops else 1, width))

    @abstractmethod
    def file_names(self, video: str, stream: str, crops: int) -> list[str]:
        """Return the names of the files of one modality of a video, in the order of crops."""

    def check(self, shape: tuple[int, int, int]) -> None:  # noqa: B027 - most take any shape
        """Raise InputError if the layout cannot store features of shape (N, C, D)."""

    def write(self, paths: Sequence[Path], stream: SnippetBlocks) -> None:
        """Write features that `check` accepts into new files, named by `file_names`.

        By default one .npy file, of the shapes that the layout has, stores all crops, or each of
        several files one crop.
        """
        snippets, crops, width = stream.shape
        share = crops // len(paths)  # crops per file
        shape = (snippets, share, width) if self.has_shape(stream.shape) else (snippets, width)
        with ExitStack() as stack:
            files = [stack.enter_context(new_file(path)) for path in paths]
            for file in files:
                write_header(file, shape, self.dtype)
            for block in stream.blocks:
                for index, file in enumerate(files):
                    put(file, block[:, index * share : (index + 1) * share], self.dtype)


def new_file(path: Path) -> BufferedWriter:
    """Open a file for writing, which must not exist yet, and create its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb")


def write_header(file: BufferedWriter, shape: Shape, dtype: str) -> None:
    """Write the header of a .npy file with an array in C order."""
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def put(file: BufferedWriter, array: NDArray[Any], dtype: str) -> None:
    """Append an array's values to a file, converted to `dtype`."""
    file.write(np.ascontiguousarray(array, dtype=dtype).data)
