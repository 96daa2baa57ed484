"""The features of one stream of one video as its files have them, read in blocks of snippets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.array_file import ArrayFile, Numbers
from vad_toolkit.interchange.layouts.half import HalfRounder
from vad_toolkit.packs.video import SnippetBlocks, block_snippets


class Reader(Protocol):
    """`shape` is (N, C, D)."""

    shape: tuple[int, int, int]

    def read(self, start: int, stop: int) -> Numbers:
        """Snippets [start, stop) as (n, C, D); valid until the next call.

        Raises:
            InputError: the file cannot be read.
        """
        ...

    def close(self) -> None:
        """Close the files."""
        ...


class SnippetFirst:
    """One file of (N, C, D), or of (N, D) where there is one crop."""

    def __init__(self, file: ArrayFile) -> None:
        snippets, *crops, width = file.shape
        self.shape = (snippets, crops[0] if crops else 1, width)
        self._file = file
        self._buffer = np.empty(0, file.dtype)

    def read(self, start: int, stop: int) -> Numbers:
        """See `Reader`."""
        _, crops, width = self.shape
        size = (stop - start) * crops * width
        if self._buffer.size < size:
            self._buffer = np.empty(size, self._file.dtype)
        block = self._buffer[:size]
        self._file.read(start * crops * width, block)
        return block.reshape(stop - start, crops, width)

    def close(self) -> None:
        """See `Reader`."""
        self._file.close()


class CropFirst:
    """Crops that lie apart: (N, D) at a place in a file each, of one dtype."""

    def __init__(self, crops: Sequence[tuple[ArrayFile, int]], snippets: int, width: int) -> None:
        """`crops`: the file of each crop, and where in it the crop's first number stands."""
        self.shape = (snippets, len(crops), width)
        self._crops = crops
        self._buffer = np.empty((0, 0, 0), crops[0][0].dtype)

    def read(self, start: int, stop: int) -> Numbers:
        """See `Reader`."""
        _, crops, width = self.shape
        if self._buffer.shape[1] != stop - start:
            self._buffer = np.empty((crops, stop - start, width), self._buffer.dtype)
        for (file, first), rows in zip(self._crops, self._buffer, strict=True):
            file.read(first + start * width, rows)
        return self._buffer.transpose(1, 0, 2)

    def close(self) -> None:
        """See `Reader`."""
        for file, _ in self._crops:
            file.close()


class InMemory:
    """A small array (N, D) of one crop that was read whole."""

    def __init__(self, array: Numbers) -> None:
        self.shape = (len(array), 1, array.shape[1])
        self._array = array[:, None, :]

    def read(self, start: int, stop: int) -> Numbers:
        """See `Reader`."""
        return self._array[start:stop]

    def close(self) -> None:
        """See `Reader`; nothing is open."""


def half_blocks(reader: Reader, snippets: int, rounder: HalfRounder, source: Path) -> SnippetBlocks:
    """The first `snippets` of a reader, rounded to float16 block by block; closes it at the end.

    Raises, while the blocks are read:
        InputError: a file cannot be read, or a number is no finite float16; `source` is named.
    """
    _, crops, width = reader.shape

    def blocks() -> Iterator[NDArray[np.float16]]:
        rows = block_snippets(crops, width)
        try:
            for start in range(0, snippets, rows):
                yield rounder.round(reader.read(start, min(start + rows, snippets)))
        except ValueError as error:
            raise InputError(
                f"{source}: {error}; packs hold finite float16: extract the video again, or leave "
                "it out"
            ) from error
        finally:
            reader.close()

    return SnippetBlocks((snippets, crops, width), blocks())
