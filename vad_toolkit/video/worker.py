"""Decoding in a separate process that can be killed, so that no file can crash or hang the caller.

One child process serves many videos, one at a time. A crash inside a decoder, or no frames within
the time limit, becomes a DecodeError, and the next video gets a new child.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.core.files import AnyPath
from vad_toolkit.errors import DecodeError, InputError
from vad_toolkit.video.channel import ChannelClosed, receive, send
from vad_toolkit.video.container import Structure
from vad_toolkit.video.probe import ContainerFacts
from vad_toolkit.video.reader import DecodeStats, VideoInfo
from vad_toolkit.video.registry import AUTO, FALLBACK, check_options

CHILD_MODULE = "vad_toolkit.video.decode_child"
CANCEL_SECONDS = 5.0  # a child that does not stop decoding within this time is killed
EXIT_SECONDS = 2.0


class DecodeWorker(AbstractContextManager["DecodeWorker"]):
    """Streams of frames that one child process decodes. Threads must not share a worker.

    The child starts with the first stream, and again after a crash or a time-out. It ends with
    `close`, with this object, or with this process, even when that is killed.

    Args:
        timeout_seconds: Longest wait for a video to open, and for each chunk of frames.

    Example:
        with DecodeWorker() as worker, worker.stream("camera.mp4") as stream:
            for frames in stream:  # uint8 (n, height, width, 3)
                ...
    """

    def __init__(self, timeout_seconds: float = 60.0) -> None:
        if not (timeout_seconds > 0 and math.isfinite(timeout_seconds)):
            raise InputError(f"timeout_seconds must be a number > 0, got {timeout_seconds}")
        self.timeout_seconds = timeout_seconds
        self._child: _Child | None = None
        self._current: FrameStream | None = None
        self._number = 0

    @property
    def pid(self) -> int | None:
        """Process id of the child, None if there is none."""
        return self._child.pid if self._child is not None else None

    def stream(
        self, path: AnyPath, decoder: str = AUTO, chunk_frames: int = 16, *, allow_damaged: int = 0
    ) -> FrameStream:
        """Open a video and return its frames. The stream must end or be closed before the next.

        Args:
            path: A video file, or a folder of numbered images.
            decoder: Name of a registered decoder, or "auto".
            chunk_frames: Frames per array.
            allow_damaged: Number of lost frames to accept, see `video.open.open_video`.

        Raises:
            InputError: If an argument is not allowed.
            DecodeError: If the video cannot be decoded, the child crashes or the time limit passes.
                Its `retry` is "pyav" if "auto" has not tried PyAV yet.
        """
        check_options(decoder, allow_damaged)
        if chunk_frames < 1:
            raise InputError(f"chunk_frames must be an integer >= 1, got {chunk_frames}")
        options = {"decoder": decoder, "chunk_frames": chunk_frames, "allow_damaged": allow_damaged}
        stream, header = self._begin("stream", path, **options)
        stream.info = VideoInfo(**{**header["info"], "path": Path(header["info"]["path"])})
        return stream

    def probe(self, path: AnyPath) -> tuple[ContainerFacts, str]:
        """Return a container's facts and the decoder that "auto" chooses. Errors as in `stream`."""
        stream, header = self._begin("probe", path)
        stream._finish(child_is_usable=True)
        structure = Structure(**header["facts"]["structure"])
        facts = {**header["facts"], "path": Path(path), "structure": structure}
        return ContainerFacts(**facts), header["decoder"]

    def _begin(
        self, kind: str, path: AnyPath, **options: Any
    ) -> tuple[FrameStream, dict[str, Any]]:
        """Send a request. Return the stream that it opens, and the first header of the answer."""
        if self._current is not None:
            raise RuntimeError("a DecodeWorker has one stream at a time; close the last one first")
        is_new = self._child is None
        self._child = self._child or _Child()
        self._number += 1
        # An absolute path, because the child keeps the working folder that it started in.
        absolute = str(Path(path).absolute())
        request = {"kind": kind, "path": absolute, "number": self._number, **options}
        self._current = FrameStream(self, self._child, request, self.timeout_seconds)
        try:
            return self._current, self._current._receive(request)[0]
        except _ChildCrashed:
            if is_new:
                raise
            # It may have died before this video: only a new child shows whether the video is bad.
            return self._begin(kind, path, **options)

    def close(self) -> None:
        """End the child and any open stream. A later stream starts a new child."""
        if self._current is not None:
            self._current._finish(child_is_usable=False)
        if self._child is not None:
            self._child.end()
            self._child = None

    def __exit__(self, *error: object) -> None:
        self.close()


class FrameStream(Iterator[NDArray[np.uint8]], AbstractContextManager["FrameStream"]):
    """Frames of one video in display order, as an iterator.

    Yields uint8 arrays (n, height, width, 3), RGB; n is `chunk_frames`, or less in the last one.
    `info` is known at once, `stats` after the last chunk. If iteration raises DecodeError, the
    chunks so far are not the whole video and should be discarded.
    """

    info: VideoInfo

    def __init__(
        self, worker: DecodeWorker, child: _Child, request: dict[str, Any], timeout: float
    ) -> None:
        self._worker = worker
        self._child = child
        self._request = request
        self._timeout = timeout
        self._stats: DecodeStats | None = None
        self._running = True

    @property
    def stats(self) -> DecodeStats:
        """Frame counts of the whole video. Raises RuntimeError before its end."""
        if self._stats is None:
            raise RuntimeError("the frame counts are known after the last chunk")
        return self._stats

    def __next__(self) -> NDArray[np.uint8]:
        if not self._running:
            if self._stats is None:
                raise RuntimeError("the stream was closed before its end")
            raise StopIteration
        header, frames = self._receive()
        if header["kind"] == "frames":
            return frames.reshape(header["shape"])
        self._stats = DecodeStats(**header["stats"])
        self._finish(child_is_usable=True)
        raise StopIteration

    def close(self) -> None:
        """Stop decoding. Closing twice, or after the end, is allowed."""
        if not self._running:
            return
        deadline = time.monotonic() + min(CANCEL_SECONDS, self._timeout)
        is_done = False
        with suppress(ChannelClosed, TimeoutError):
            send(self._child.link, {"kind": "cancel", "number": self._request["number"]})
            while not is_done:
                is_done = receive(self._child.link, deadline)[0]["kind"] in ("end", "error")
        self._finish(child_is_usable=is_done)

    def __exit__(self, *error: object) -> None:
        self.close()

    def _receive(
        self, request: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], NDArray[np.uint8]]:
        """Send a request, if any, and return the next message; end the stream if that fails."""
        path = self._request["path"]
        try:
            if request is not None:
                send(self._child.link, request)
            header, payload = receive(self._child.link, time.monotonic() + self._timeout)
        except ChannelClosed:
            message = f"{path}: the decoder crashed ({self._child.cause_of_death()})"
            self._finish(child_is_usable=False)
            raise _ChildCrashed(message, retry=self._retry) from None
        except TimeoutError:
            self._finish(child_is_usable=False)
            message = f"{path}: no frames within {self._timeout:g} s, decoding was stopped"
            raise DecodeError(message, retry=self._retry) from None
        except BaseException:
            self._finish(child_is_usable=False)
            raise
        if header["kind"] == "error":
            self._finish(child_is_usable=True)
            if header["is_input"]:  # checked here already, so the child lacks the decoder's plugin
                raise InputError(
                    f"{header['message']} in the decoder process, which loads only installed "
                    "plugins and those in VAD_PLUGINS; use load_plugin or vad --plugin"
                )
            # Without `info`, opening failed, and "auto" has tried PyAV already.
            retry = self._retry if hasattr(self, "info") else None
            raise DecodeError(header["message"], retry=retry)
        return header, payload

    @property
    def _retry(self) -> str | None:
        """The decoder to try after this one: PyAV, if "auto" has not tried it on the file yet."""
        is_auto = self._request.get("decoder") == AUTO and not self._request["allow_damaged"]
        has_tried = hasattr(self, "info") and self.info.decoder == FALLBACK
        is_file = not Path(self._request["path"]).is_dir()
        return FALLBACK if is_auto and is_file and not has_tried else None

    def _finish(self, *, child_is_usable: bool) -> None:
        if self._running:
            self._running = False
            self._worker._current = None
            if not child_is_usable:
                self._worker.close()


class _ChildCrashed(DecodeError):
    """The child ended while it worked on a video."""


class _Child:
    """A decode process and the socket to it."""

    def __init__(self) -> None:
        self.link, theirs = socket.socketpair()
        # Linux kills the child when the *thread* that started it ends, so this is asked for in the
        # main thread only. In other threads, the child notices the end of the socket.
        parent = os.getpid() if threading.current_thread() is threading.main_thread() else 0
        with theirs:
            arguments = [str(theirs.fileno()), str(parent)]
            self._process = subprocess.Popen(
                # -P: no module in the working folder can shadow a library.
                [sys.executable, "-P", "-W", "ignore", "-m", CHILD_MODULE, *arguments],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C goes to the caller only
            )
        self.pid = self._process.pid
        self._noise: deque[bytes] = deque([b""], maxlen=1)
        self._listener = threading.Thread(
            target=_keep_last_line, args=(self._process.stderr, self._noise), daemon=True
        )
        self._listener.start()
        end = (os.getpid(), self.link, self._process, self._listener)
        self.end = weakref.finalize(self, _end, *end)

    def cause_of_death(self) -> str:
        """Return the signal or exit code of the child, and the last line that it wrote."""
        try:
            code = self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return "it closed its channel"
        self._listener.join(EXIT_SECONDS)
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        if code == -signal.SIGKILL:
            how += ", perhaps out of memory"
        last = self._noise[0].decode("utf-8", "replace").strip()
        return f"{how}: {last[:200]}" if last else how


def _keep_last_line(pipe: IO[bytes], lines: deque[bytes]) -> None:
    with pipe:
        # Reads are bounded, because the output may have no line ends.
        while line := pipe.readline(4096):
            if line.strip():
                lines.append(line)


def _end(
    owner: int, link: socket.socket, process: subprocess.Popen[bytes], listener: threading.Thread
) -> None:
    """Kill the child and wait for its end."""
    link.close()
    if os.getpid() == owner:  # a forked copy of the owner must not kill the child
        process.kill()
        process.wait()
        listener.join(EXIT_SECONDS)
