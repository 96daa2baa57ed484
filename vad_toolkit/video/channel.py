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

import numpy as np
from numpy.typing import NDArray

HEADER_LIMIT = 1 << 20  # bytes; a decode child sends no longer header


class ChannelClosed(Exception):
    """The other side of the channel is gone, or sends something other than messages."""


def send(link: socket.socket, header: dict[str, Any], payload: memoryview | None = None) -> None:
    """Send a message; wait while the other side does not read. Raises ChannelClosed."""
    if payload is not None:
        header = {**header, "payload": payload.nbytes}
    text = json.dumps(header, default=str).encode("ascii")  # a Path becomes a string
    try:
        link.sendall(len(text).to_bytes(4, "big") + text)
        link.sendall(payload or b"")
    except OSError as error:
        raise ChannelClosed from error


def receive(
    link: socket.socket, deadline: float | None = None
) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """Return the header and the payload of the next message.

    Raises ChannelClosed, or TimeoutError after `deadline`, a time on the clock `time.monotonic`.
    """
    length = int.from_bytes(_read(link, 4, deadline).tobytes(), "big")
    if length > HEADER_LIMIT:
        raise ChannelClosed
    header: dict[str, Any] = json.loads(_read(link, length, deadline).tobytes())
    return header, _read(link, header.get("payload", 0), deadline)


def _read(link: socket.socket, size: int, deadline: float | None) -> NDArray[np.uint8]:
    data = np.empty(size, np.uint8)
    filled = 0
    while filled < size:
        try:
            link.settimeout(None if deadline is None else max(deadline - time.monotonic(), 1e-3))
            count = link.recv_into(data.data[filled:])
        except TimeoutError:
            raise
        except OSError as error:
            raise ChannelClosed from error
        if count == 0:
            raise ChannelClosed
        filled += count
    return data
