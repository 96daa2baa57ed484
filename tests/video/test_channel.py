from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

import pytest

from vad_toolkit.video.channel import ChannelClosed, receive, send

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_messages_arrive_whole_and_in_order(pair: Pair) -> None:
    send(pair[0], {"kind": "frames", "path": "a b/\udcff日本"}, memoryview(b"12345"))
    send(pair[0], {"kind": "end"})
    header, payload = receive(pair[1])
    assert header == {"kind": "frames", "path": "a b/\udcff日本", "payload": 5}
    assert payload.tobytes() == b"12345"
    assert receive(pair[1])[0] == {"kind": "end"}


def test_the_end_of_the_other_side_is_told(pair: Pair) -> None:
    pair[0].sendall(b"\0\0")  # half a length
    pair[0].close()
    with pytest.raises(ChannelClosed):
        receive(pair[1])
    with pytest.raises(ChannelClosed):
        send(pair[1], {"kind": "end"})


def test_a_deadline_holds(pair: Pair) -> None:
    with pytest.raises(TimeoutError):
        receive(pair[1], deadline=time.monotonic())


def test_a_header_of_absurd_length_is_not_read(pair: Pair) -> None:
    pair[0].sendall(struct.pack(">I", 1 << 31))
    with pytest.raises(ChannelClosed):
        receive(pair[1])
