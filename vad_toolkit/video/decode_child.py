"""The process that decodes: `python -m vad_toolkit.video.decode_child SOCKET PARENT`.

Started by worker.py, never by hand. It takes requests from a socket, one video at a time, and sends
frames back. It ends when the socket's other end closes, whatever else it is doing, so that it never
outlives its parent. Decoder noise goes to its standard error, which the parent keeps to itself.
"""

from __future__ import annotations

import ctypes
import os
import queue
import resource
import signal
import socket
import sys
import threading
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vad_toolkit.errors import DecodeError, VadError
from vad_toolkit.video.channel import (
    ChannelClosed,
    FilledSlots,
    receive_header,
    send,
    send_descriptor,
)
from vad_toolkit.video.open import choose_decoder, open_video
from vad_toolkit.video.probe import probe

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class Child:
    """Serves the requests that come over `link`."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._cancelled = 0  # number of the last request that the parent no longer wants
        self._slots = FilledSlots()

    def serve(self) -> None:
        """Answer requests until the parent is gone."""
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            request = self._requests.get()
            try:
                (self._probe if request["kind"] == "probe" else self._stream)(request)
            except ChannelClosed:
                return
            except VadError as error:
                retry = error.retry if isinstance(error, DecodeError) else None
                send(self._link, {"kind": "error", "message": str(error), "retry": retry})

    def _listen(self) -> None:
        # A thread of its own, so that a cancellation is seen while the other one decodes, and so is
        # the parent's end, even while a decoder hangs.
        while True:
            try:
                request = receive_header(self._link)
            except ChannelClosed:
                os._exit(0)
            if request["kind"] == "cancel":
                self._cancelled = request["number"]
            elif request["kind"] == "free":
                self._slots.free(request["generation"], request["slot"])
            else:
                self._requests.put(request)

    def _probe(self, request: dict[str, Any]) -> None:
        path = Path(request["path"])
        facts = probe(path)
        send(
            self._link,
            {
                "kind": "facts",
                "facts": {**asdict(facts), "path": str(path)},
                "decoder": choose_decoder(facts),
            },
        )

    def _stream(self, request: dict[str, Any]) -> None:
        path = Path(request["path"])
        video = open_video(path, request["decoder"], request["allow_damaged"])
        with closing(video) as reader:
            info = {**asdict(reader.info), "path": str(path)}
            send(self._link, {"kind": "info", "info": info})
            self._share(request["chunk_frames"] * reader.info.width * reader.info.height * 3)
            for chunk in reader.chunks(request["chunk_frames"]):
                if self._cancelled >= request["number"]:
                    break
                header = {"kind": "frames", "shape": chunk.shape}
                if (slot := self._slots.fill(chunk)) is not None:
                    send(self._link, {**header, "slot": slot})
                else:
                    send(self._link, header, chunk.data.cast("B"))
            send(self._link, {"kind": "end", "stats": asdict(reader.stats)})

    def _share(self, chunk_bytes: int) -> None:
        """Give the parent larger shared memory where a video needs it."""
        if (descriptor := self._slots.reserve(chunk_bytes)) is not None:
            try:
                send_descriptor(
                    self._link, {"kind": "memory", **asdict(self._slots.layout)}, descriptor
                )
            finally:
                os.close(descriptor)


def die_with(parent: int) -> None:
    """Ask Linux for a SIGKILL when the parent ends, however it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the request
            os._exit(0)


def main() -> None:
    """Serve the socket whose number is the first argument. The second is the parent's process id,
    0 where the parent's thread may end before the parent does."""
    if parent := int(sys.argv[2]):
        die_with(parent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash is expected now and then
    with socket.socket(fileno=int(sys.argv[1])) as link:
        Child(link).serve()


if __name__ == "__main__":
    main()
