"""Decode process: `python -m vad_toolkit.video.decode_child SOCKET PARENT`, started by worker.py.

It receives requests through a socket, one video at a time, and sends frames back. It ends when the
other end of the socket closes, even while a decoder hangs, so it never outlives its parent. Its
standard error, with everything that decoders print, goes to the parent.
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
from contextlib import closing, suppress
from dataclasses import asdict
from typing import Any

from vad_toolkit.errors import InputError, VadError
from vad_toolkit.video.channel import ChannelClosed, receive, send
from vad_toolkit.video.open import choose_decoder, open_video
from vad_toolkit.video.probe import probe

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>: signal that Linux sends when the parent ends


class Child:
    """Server of the requests that arrive on `link`."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._cancelled = 0  # number of the last request that the parent has cancelled

    def serve(self) -> None:
        """Answer requests until the parent is gone."""
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            try:
                self._answer(self._requests.get())
            except ChannelClosed:
                return
            except VadError as error:
                is_input = isinstance(error, InputError)
                send(self._link, {"kind": "error", "message": str(error), "is_input": is_input})

    def _listen(self) -> None:
        # In its own thread, to notice a cancellation or the parent's end while a decoder works.
        with suppress(ChannelClosed):
            while True:
                request, _ = receive(self._link)
                if request["kind"] == "cancel":
                    self._cancelled = request["number"]
                else:
                    self._requests.put(request)
        os._exit(0)

    def _answer(self, request: dict[str, Any]) -> None:
        if request["kind"] == "probe":
            facts = probe(request["path"])
            decoder = choose_decoder(facts)
            return send(self._link, {"kind": "facts", "facts": asdict(facts), "decoder": decoder})
        video = open_video(request["path"], request["decoder"], request["allow_damaged"])
        with closing(video) as reader:
            send(self._link, {"kind": "info", "info": asdict(reader.info)})
            for chunk in reader.chunks(request["chunk_frames"]):
                if self._cancelled >= request["number"]:
                    break
                send(self._link, {"kind": "frames", "shape": chunk.shape}, chunk.data.cast("B"))
            send(self._link, {"kind": "end", "stats": asdict(reader.stats)})


def main() -> None:
    """Serve the socket SOCKET. PARENT is a process id, or 0 if its end must not be watched."""
    parent = int(sys.argv[2])
    if parent and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the request
            os._exit(0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # crashes are expected: no core dumps
    with socket.socket(fileno=int(sys.argv[1])) as link:
        Child(link).serve()


if __name__ == "__main__":
    main()
