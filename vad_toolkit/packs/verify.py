"""Compare features with their digests at the disk's speed: one thread reads while others hash.

Reading a pack goes through one lock of the HDF5 library, so more threads would not read faster.
sha256 is slower than a good disk (about 1.8 GB/s a core), and hashlib lets other threads run: each
array is hashed by one of a few lanes, in its order, while the next blocks are read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import PackCorrupt
from vad_toolkit.packs.video import all_finite, block_snippets

MAX_LANES = 4  # hash more than one thread can read
BLOCKS_A_LANE = 4  # in memory, read or being hashed


@dataclass(frozen=True)
class StoredFeatures:
    """What is to be compared: an array's place in the pack, and the digest that is stated.

    `read(start, out)` fills `out`, float16 (n, C, D), with the snippets from `start` on.
    """

    id: str
    stream: str
    shape: tuple[int, int, int]
    sha256: str
    read: Callable[[int, NDArray[np.float16]], None]


@dataclass
class _Running:
    """One array while it is read and hashed."""

    stored: StoredFeatures
    digest: Any = field(default_factory=hashlib.sha256)
    finite: bool = True
    unreadable: str = ""
    failure: Exception | None = None  # of the hashing itself

    def take(self, block: NDArray[np.float16]) -> None:
        self.digest.update(block.data.cast("B"))
        self.finite = self.finite and all_finite(block)

    def problem(self) -> str:
        if self.failure is not None:
            raise self.failure
        stream, found = self.stored.stream, self.digest.hexdigest()
        if self.unreadable:
            return self.unreadable
        if found != self.stored.sha256:
            return f"{stream} features are damaged: sha256 {found}, stated {self.stored.sha256}"
        return "" if self.finite else f"{stream} features hold NaN or infinity"


def find_problems(arrays: Iterable[StoredFeatures]) -> list[tuple[str, str]]:
    """Read and compare all arrays: (id, problem) for each that is not right, in their order.

    In memory: 16 blocks of 4 MiB at most (of 16 snippets, where those are more).
    """
    lanes = min(MAX_LANES, os.cpu_count() or 1)
    free: SimpleQueue[NDArray[np.float16]] = SimpleQueue()
    for _ in range(lanes * BLOCKS_A_LANE):
        free.put(np.empty(0, np.float16))
    checked: list[tuple[StoredFeatures, Future[str]]] = []
    with ExitStack() as stack:
        pools = [stack.enter_context(ThreadPoolExecutor(1, "hash")) for _ in range(lanes)]
        for index, stored in enumerate(arrays):
            pool, running = pools[index % lanes], _Running(stored)
            _read(running, pool, free)
            checked.append((stored, pool.submit(running.problem)))
    return [(stored.id, found.result()) for stored, found in checked if found.result()]


def _read(
    running: _Running, pool: ThreadPoolExecutor, free: SimpleQueue[NDArray[np.float16]]
) -> None:
    """Hand an array's blocks to a lane; waits where no buffer is free."""
    snippets, crops, width = running.stored.shape
    row, rows = crops * width, block_snippets(crops, width)
    for start in range(0, snippets, rows):
        count = min(rows, snippets - start)
        buffer = free.get()
        if buffer.size < count * row:
            buffer = np.empty(count * row, np.float16)
        block = buffer[: count * row].reshape(count, crops, width)
        try:
            running.stored.read(start, block)
        except PackCorrupt as error:
            free.put(buffer)
            running.unreadable = str(error).partition(f"video {running.stored.id!r}: ")[2]
            return
        pool.submit(_hash, running, block, buffer, free)


def _hash(
    running: _Running,
    block: NDArray[np.float16],
    buffer: NDArray[np.float16],
    free: SimpleQueue[NDArray[np.float16]],
) -> None:
    try:
        running.take(block)
    except Exception as error:
        running.failure = error
    finally:
        free.put(buffer)
