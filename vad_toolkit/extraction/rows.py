"""A video's features as they come, kept until it ends."""

from __future__ import annotations

import mmap

import torch
from torch import Tensor

FIRST_ROWS = 256


class Rows:
    """Rows of features, one after the other: tensors of one shape and type.

    On a GPU a row stays what it is, a view of what its batch made. On a CPU rows are copied into
    memory outside of the heap. The heap keeps what is freed (`device.keep_freed_memory`), for the
    tensors of the next pass; rows that stay in the middle of it divide that memory into parts too
    small for them, and it grows for as long as the video lasts (docs/LOG.md).
    """

    def __init__(self) -> None:
        self._on_gpu: list[Tensor] = []
        self._on_cpu: Tensor | None = None  # the system gives its pages as they are written to
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, row: Tensor) -> None:
        """Add a row; on a CPU it may change afterwards."""
        if row.is_cuda:
            self._on_gpu.append(row)
        else:
            if self._on_cpu is None:
                self._on_cpu = _outside_of_the_heap(FIRST_ROWS, row)
            elif self._count == len(self._on_cpu):
                larger = _outside_of_the_heap(2 * self._count, row)
                larger[: self._count] = self._on_cpu
                self._on_cpu = larger
            self._on_cpu[self._count] = row
        self._count += 1

    def joined(self) -> Tensor:
        """All rows, (rows, ...), on a CPU without a copy; at least one has to be there."""
        if self._on_cpu is not None:
            return self._on_cpu[: self._count]
        return torch.stack(self._on_gpu)


def _outside_of_the_heap(rows: int, like: Tensor) -> Tensor:
    memory = mmap.mmap(-1, rows * like.nbytes)
    return torch.frombuffer(memory, dtype=like.dtype).view(rows, *like.shape)
