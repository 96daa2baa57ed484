"""Messages between the decode worker and its child: a JSON header, then raw bytes, over a socket.

    4 bytes   length of the header, big-endian
    header    JSON object; "payload" is the number of bytes that follow, absent for none
    payload   frames as they lie in memory, where shared memory (shared.py) has no slot free

A socket holds a few hundred kilobytes at most, so a sender waits until the other side reads: this
is what keeps the child from decoding ahead of an idle consumer.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import queue
import socket
import struct
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEADER_LIMIT = 1 << 20  # a longer header is not from a decode child
_LENGTH = struct.Struct(">I")


class ChannelClosed(Exception):
    """The other side is gone."""


def send(link: socket.socket, header: dict[str, Any], payload: memoryview | None = None) -> None:
    """Send one message; waits while the other side does not read. Raises ChannelClosed."""
    if payload is not None:
        header = {**header, "payload": payload.nbytes}
    text = json.dumps(header).encode("ascii")
    try:
        link.sendall(_LENGTH.pack(len(text)) + text)
        if payload is not None:
            link.sendall(payload)
    except OSError as error:
        raise ChannelClosed from error


def send_descriptor(link: socket.socket, header: dict[str, Any], descriptor: int) -> None:
    """Send a message, then a copy of a file descriptor with one byte. Raises ChannelClosed."""
    send(link, header)
    try:
        socket.send_fds(link, [b"d"], [descriptor])
    except OSError as error:
        raise ChannelClosed from error


def receive_descriptor(link: socket.socket, deadline: float | None = None) -> int:
    """Receive the descriptor that follows a message; the caller closes it. Raises as
    `receive_header`."""
    try:
        link.settimeout(None if deadline is None else max(deadline - time.monotonic(), 1e-3))
        _, descriptors, _, _ = socket.recv_fds(link, 1, 1)
    except TimeoutError:
        raise
    except OSError as error:
        raise ChannelClosed from error
    if not descriptors:
        raise ChannelClosed
    return descriptors[0]


def receive_header(link: socket.socket, deadline: float | None = None) -> dict[str, Any]:
    """Receive the next header; its payload, if any, has to be received next.

    `deadline`: on the clock of time.monotonic. Raises ChannelClosed, and TimeoutError after it.
    """
    (length,) = _LENGTH.unpack(_receive(link, _LENGTH.size, deadline))
    if length > HEADER_LIMIT:
        raise ChannelClosed
    header = json.loads(_receive(link, length, deadline))
    assert isinstance(header, dict)
    return header


def receive_into(link: socket.socket, target: memoryview, deadline: float | None = None) -> None:
    """Fill `target` (bytes) from the link. Raises as `receive_header`."""
    filled = 0
    while filled < len(target):
        try:
            link.settimeout(None if deadline is None else max(deadline - time.monotonic(), 1e-3))
            count = link.recv_into(target[filled:])
        except TimeoutError:
            raise
        except OSError as error:
            raise ChannelClosed from error
        if count == 0:
            raise ChannelClosed
        filled += count


def _receive(link: socket.socket, size: int, deadline: float | None) -> bytes:
    data = bytearray(size)
    receive_into(link, memoryview(data), deadline)
    return bytes(data)


# Memory that a decode child and its parent share: frames lie in it, and nobody sends them.
#
# The memory is a file without a name (memfd) that goes with the last process that holds it: nothing
# is left behind, and no limit of /dev/shm counts. It is divided into a few slots, one chunk of
# frames each. The child fills a slot that is free and tells its number; the parent's array is a
# view of it, and the slot is free again when the last view of it is gone. Where no slot is free, as
# when a caller keeps the chunks, frames are sent through the socket instead.
#
# A larger video gets new memory, a new generation; views of the old one stay what they are.

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
