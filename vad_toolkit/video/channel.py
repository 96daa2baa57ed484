"""Messages between the decode worker and its child process, through a socket.

    4 bytes   length of the header, big-endian
    header    JSON object; "payload" is the number of bytes that follow, absent if none do
    payload   frames, as they are in memory

The socket buffers a few hundred kilobytes, so a sender waits until the other side reads. This keeps
the child from decoding ahead of an idle consumer.
"""

from __future__ import annotations

import json
import socket
import time
from typing import Any

HEADER_LIMIT = 1 << 20  # bytes; a decode child sends no longer header


class ChannelClosed(Exception):
    """The other side of the channel is gone."""


def send(link: socket.socket, header: dict[str, Any], payload: memoryview | None = None) -> None:
    """Send a message; wait while the other side does not read.

    Raises:
        ChannelClosed: If the other side is gone.
    """
    if payload is not None:
        header = {**header, "payload": payload.nbytes}
    text = json.dumps(header).encode("ascii")
    try:
        link.sendall(len(text).to_bytes(4, "big") + text)
        if payload is not None:
            link.sendall(payload)
    except OSError as error:
        raise ChannelClosed from error


def receive_header(link: socket.socket, deadline: float | None = None) -> dict[str, Any]:
    """Return the next header. Its payload, if it has one, must be received next.

    Args:
        link: The socket.
        deadline: Time on the clock of `time.monotonic`. If None, wait without limit.

    Raises:
        ChannelClosed: If the other side is gone, or sends something else than messages.
        TimeoutError: If the deadline passes.
    """
    length = bytearray(4)
    receive_into(link, memoryview(length), deadline)
    if (size := int.from_bytes(length, "big")) > HEADER_LIMIT:
        raise ChannelClosed
    text = bytearray(size)
    receive_into(link, memoryview(text), deadline)
    header = json.loads(text)
    assert isinstance(header, dict)
    return header


def receive_into(link: socket.socket, target: memoryview, deadline: float | None = None) -> None:
    """Fill `target` (bytes) from the socket. Other arguments and errors as `receive_header`."""
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
