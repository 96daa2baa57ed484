"""Readers of the features of one modality of one video, block by block, and rounding to float16."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.array_file import ArrayFile, Numbers
from vad_toolkit.packs.video import SnippetBlocks, block_snippets

LARGEST = 65504.0  # the largest float16
SMALLEST_NORMAL = 2.0**-14  # below it, the step of float16 is fixed
# The relative error of a number halfway between a power of two and the next float16.
LARGEST_RELATIVE = float(np.float32(2.0**-11) / np.float32(1 + 2.0**-11))
PIECE = 32_000  # values rounded at a time: they stay in the cache, and torch starts no threads


class Reader:
    """Reader of features (N, C, D) in one part that holds all crops, or one part (N, D) per crop.

    Args:
        parts: Files of one dtype, each with the position of the part's first number in it.
        shape: (N, C, D).
    """

    def __init__(self, parts: Sequence[tuple[ArrayFile, int]], shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self._parts = parts
        self._buffer: Numbers = np.empty((0, 0, 0), parts[0][0].dtype)

    def read(self, start: int, stop: int) -> Numbers:
        """Return snippets [start, stop) as (n, C, D); the array is valid until the next call.

        Raises:
            InputError: If a file cannot be read.
        """
        _, crops, width = self.shape
        row = crops * width // len(self._parts)
        if self._buffer.shape[1] != stop - start:
            self._buffer = np.empty((len(self._parts), stop - start, row), self._buffer.dtype)
        for (file, first), rows in zip(self._parts, self._buffer, strict=True):
            file.read(first + start * row, rows)
        if len(self._parts) == 1:
            return self._buffer.reshape(stop - start, crops, width)
        return self._buffer.transpose(1, 0, 2)

    def close(self) -> None:
        """Close the files. A later `read` opens them again."""
        for file, _ in self._parts:
            file.close()


class HalfRounder:
    """Rounding to the nearest float16, ties to even, with the largest error so far.

    Attributes:
        absolute: The largest absolute error.
        relative: The largest relative error of numbers from 2^-14 on. Below, the step of float16
            is fixed (2^-24) and a relative error says nothing.
    """

    def __init__(self) -> None:
        self.absolute = self.relative = 0.0

    def round(self, numbers: NDArray[np.floating[Any]]) -> NDArray[np.float16]:
        """Return `numbers` as a new float16 array of the same shape, in C order.

        Args:
            numbers: float16, float32 or float64, of any shape.

        Raises:
            ValueError: If a number is NaN, infinite or larger than 65504; the message names it.
        """
        import torch  # casts several times as fast as NumPy; slow to import, so only when needed

        native = numbers.dtype.newbyteorder("=")
        source = torch.from_numpy(np.ascontiguousarray(numbers, native).reshape(-1))
        out = np.empty(numbers.shape, np.float16)
        halves = torch.from_numpy(out.reshape(-1))
        for start in range(0, len(source), PIECE):
            piece, half = source[start : start + PIECE], halves[start : start + PIECE]
            low, high = map(float, piece.aminmax())  # NaN if there is one
            if not (low >= -LARGEST and high <= LARGEST):
                largest = np.abs(piece.numpy()).max()  # NaN if there is one
                problem = {"nan": "NaN", "inf": "infinity"}.get(f"{largest:g}")
                problem = problem or f"{largest:g}, but float16 ends at 65504"
                raise ValueError(f"contains {problem}")
            if piece.dtype == torch.float64:  # torch would round twice, to float32 in between
                half.copy_(torch.from_numpy(piece.numpy().astype(np.float16)))
            else:
                half.copy_(piece)
            error = half.to(piece.dtype, copy=True).sub_(piece).abs_()
            self.absolute = max(self.absolute, float(error.max()))
            if self.relative < LARGEST_RELATIVE:  # cannot grow beyond it
                size = piece.abs()
                relative = error.div_(size).masked_fill_(size < SMALLEST_NORMAL, 0)
                self.relative = max(self.relative, float(relative.max()))
        return out


def half_blocks(reader: Reader, snippets: int, rounder: HalfRounder, source: Path) -> SnippetBlocks:
    """Return the first snippets of a reader as float16 blocks; the reader is closed at the end.

    Raises (while the blocks are read):
        InputError: If a file cannot be read, or a number is not a finite float16; names `source`.
    """
    _, crops, width = reader.shape

    def blocks() -> Iterator[NDArray[np.float16]]:
        rows = block_snippets(crops, width)
        try:
            for start in range(0, snippets, rows):
                yield rounder.round(reader.read(start, min(start + rows, snippets)))
        except ValueError as error:
            raise InputError(
                f"{source} {error}; packs store finite float16: extract the video again, or leave "
                "it out"
            ) from error
        finally:
            reader.close()

    return SnippetBlocks((snippets, crops, width), blocks())
