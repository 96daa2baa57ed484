"""Memory that a decode child and its parent share: frames lie in it, and nobody sends them.

The memory is a file without a name (memfd) that goes with the last process that holds it: nothing
is left behind, and no limit of /dev/shm counts. It is divided into a few slots, one chunk of frames
each. The child fills a slot that is free and tells its number; the parent's array is a view of it,
and the slot is free again when the last view of it is gone. Where no slot is free, as when a caller
keeps the chunks, frames are sent through the socket instead.

A larger video gets new memory, a new generation; views of the old one stay what they are.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import queue
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SLOTS = 4
SLOT_LIMIT = 256 << 20  # bytes; larger chunks (8K) are sent


@dataclass(frozen=True)
class Layout:
    """One generation of shared memory: `SLOTS` slots of `slot_bytes` each."""

    generation: int
    slot_bytes: int


class FilledSlots:
    """The child's side: memory that it fills, as large as the largest video so far needs."""

    def __init__(self) -> None:
        self.layout = Layout(0, 0)
        self._memory: mmap.mmap | None = None
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()

    def reserve(self, slot_bytes: int) -> int | None:
        """Make slots of at least `slot_bytes`; gives a descriptor of new memory, to be sent to the
        parent and closed, and None where there is enough already, or none can be had."""
        if slot_bytes <= self.layout.slot_bytes or not 0 < slot_bytes <= SLOT_LIMIT:
            return None
        try:
            descriptor = os.memfd_create("vad-frames")
        except (AttributeError, OSError):  # not Linux, or not allowed here: frames are sent
            return None
        os.ftruncate(descriptor, SLOTS * slot_bytes)
        self._memory = mmap.mmap(descriptor, SLOTS * slot_bytes)
        self._free = queue.SimpleQueue()
        for slot in range(SLOTS):
            self._free.put(slot)
        self.layout = Layout(self.layout.generation + 1, slot_bytes)
        return descriptor

    def fill(self, frames: NDArray[np.uint8]) -> int | None:
        """Copy frames into a free slot and give its number; None where none is free."""
        if self._memory is None or frames.nbytes > self.layout.slot_bytes:
            return None
        try:
            slot = self._free.get_nowait()
        except queue.Empty:
            return None
        start = slot * self.layout.slot_bytes
        target = np.frombuffer(self._memory, np.uint8, frames.nbytes, start)
        np.copyto(target.reshape(frames.shape), frames)
        return slot

    def free(self, generation: int, slot: int) -> None:
        """Take a slot back; from any thread. Those of an older generation are of no use."""
        if generation == self.layout.generation:
            self._free.put(slot)


class ReadSlots:
    """The parent's side: views of what the child filled.

    Args:
        layout: what the child said of the memory.
        descriptor: of the memory; closed here.
        release: called with generation and slot when the last view of one is gone, from whatever
            thread lets it go.
    """

    def __init__(
        self, layout: Layout, descriptor: int, release: Callable[[int, int], None]
    ) -> None:
        self.layout = layout
        self._release = release
        try:
            self._memory = mmap.mmap(descriptor, SLOTS * layout.slot_bytes)
        finally:
            os.close(descriptor)

    def view(self, slot: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """The frames in a slot, uint8 of that shape, writable."""
        size = int(np.prod(shape))
        # An object of its own for each filled slot: arrays that are cut out of one another all
        # keep this one, and with its end the slot is free.
        kind: Any = ctypes.c_ubyte * size
        buffer = kind.from_buffer(self._memory, slot * self.layout.slot_bytes)
        ending = weakref.finalize(buffer, self._release, self.layout.generation, slot)
        ending.atexit = False
        return np.frombuffer(buffer, np.uint8).reshape(shape)
