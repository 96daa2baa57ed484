"""Messages between the decode worker and its child: a JSON header, then raw bytes, over a socket.

    4 bytes   length of the header, big-endian
    header    JSON object; "payload" is the number of bytes that follow, absent for none
    payload   frames as they lie in memory, where shared memory (shared.py) has no slot free

A socket holds a few hundred kilobytes at most, so a sender waits until the other side reads: this
is what keeps the child from decoding ahead of an idle consumer.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any

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
