"""What a layout is: how its files are named, read and written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.array_file import ArrayFile
from vad_toolkit.interchange.layouts.feature_reader import Reader
from vad_toolkit.packs.video import SnippetBlocks

CROP_COUNTS = (10, 5, 1)
STREAMS: tuple[Literal["rgb", "flow"], ...] = ("rgb", "flow")


@dataclass(frozen=True)
class FileName:
    """What a file's name says: the video as published, the crop's number, and perhaps the stream.

    `video` may still have folders, a suffix and tags (`datasets.names`).
    """

    video: str
    crop: int = 0
    stream: str | None = None


class Layout(ABC):
    """One way to lay features out in files.

    `crop_order` and `rule` are what is usual for it; `names_stream` says that a file's name tells
    its stream, so that all streams lie in one folder.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = (".npy",)
    crop_order: ClassVar[str]
    rule: ClassVar[str]
    spans: ClassVar[Literal["step", "segments"]] = "step"
    names_stream: ClassVar[bool] = False

    def parse(self, path: str) -> FileName | None:
        """What a file's relative path says; None where it is none of this layout's names."""
        return FileName(path)

    @abstractmethod
    def open(self, paths: Sequence[Path]) -> Reader:
        """The files of one stream of one video, in the order of their crop numbers.

        Raises:
            InputError: a file cannot be read or does not have the layout's shape; names it.
        """

    @abstractmethod
    def file_names(self, video: str, stream: str, crops: int) -> list[str]:
        """Names of the files of one stream of a video, in the order of crops."""

    def check(self, shape: tuple[int, int, int]) -> None:  # noqa: B027 - most hold any
        """Whether the layout can hold features (N, C, D). Raises InputError."""

    @abstractmethod
    def write(self, paths: Sequence[Path], stream: SnippetBlocks) -> None:
        """Write one stream of a video into new files, named by `file_names`.

        Raises:
            InputError: the features do not fit the layout (`check`).
        """


def shape_error(file: ArrayFile, layout: Layout, wanted: str, hint: str = "") -> InputError:
    """The error for an array whose shape is not the layout's."""
    hint = hint or "check --layout"
    return InputError(
        f"{file.path} has shape {file.shape}: layout {layout.name} has {wanted}; {hint}"
    )


def write_header(file: IO[bytes], shape: tuple[int, ...], dtype: str) -> None:
    """Begin a .npy file of an array in C order."""
    np.lib.format.write_array_header_1_0(
        file, {"descr": dtype, "fortran_order": False, "shape": shape}
    )


@contextmanager
def new_files(paths: Sequence[Path]) -> Iterator[list[IO[bytes]]]:
    """Files opened for writing that must not exist yet; their folders are made."""
    with ExitStack() as stack:
        files: list[IO[bytes]] = []
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            files.append(stack.enter_context(path.open("xb")))
        yield files


def put(file: IO[bytes], array: NDArray[Any], dtype: str) -> None:
    """Append an array's numbers to a file, converted to `dtype`."""
    file.write(np.ascontiguousarray(array, dtype=dtype).data)
