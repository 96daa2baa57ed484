"""Decoding in a process of its own, which can be killed: no file can crash or hang the caller.

One child serves many videos, one at a time. Whatever goes wrong in it (a crash inside a decoder, no
frames within the time limit) becomes a DecodeError, and the next video gets a fresh child.
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
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import DecodeError, InputError
from vad_toolkit.video.channel import (
    ChannelClosed,
    Layout,
    ReadSlots,
    receive_descriptor,
    receive_header,
    receive_into,
    send,
)
from vad_toolkit.video.container import Structure
from vad_toolkit.video.open import check_options
from vad_toolkit.video.probe import ContainerFacts
from vad_toolkit.video.reader import DecodeStats, VideoInfo

CHILD_MODULE = "vad_toolkit.video.decode_child"
CANCEL_SECONDS = 5.0  # a child that does not stop within this time is killed
EXIT_SECONDS = 2.0
NOISE_LINES = 20  # of the child's standard error, kept for the message when it crashes


class DecodeWorker:
    """Streams videos out of one child process.

    The child starts with the first stream and again after a crash or a time-out. It ends with
    `close`, with this object, and with this process, even when that is killed. Not for use by
    several threads at once: take one worker each.
    """

    def __init__(self, timeout_seconds: float = 60.0) -> None:
        """`timeout_seconds`: the longest wait for a video to open, and for each chunk of it."""
        if not (timeout_seconds > 0 and math.isfinite(timeout_seconds)):
            raise InputError(f"a time limit of {timeout_seconds} s; allowed: more than 0")
        self.timeout_seconds = timeout_seconds
        self._child: _Child | None = None
        self._current: FrameStream | None = None
        self._number = 0

    @property
    def pid(self) -> int | None:
        """Process id of the child, None while there is none."""
        return self._child.pid if self._child is not None else None

    def stream(
        self,
        path: Path,
        decoder: str = "auto",
        chunk_frames: int = 16,
        *,
        allow_damaged: int = 0,
    ) -> FrameStream:
        """Open a video and return its stream, which has to end or be closed before the next.

        `allow_damaged`: how many lost frames are accepted and counted, see `reader.open_video`.

        Raises DecodeError where the file cannot be decoded, the child crashes or the time limit
        passes (with `retry="pyav"` where "auto" has not yet tried PyAV), InputError for wrong
        values.
        """
        check_options(decoder, allow_damaged)
        if chunk_frames < 1:
            raise InputError(f"a chunk of {chunk_frames} frames; allowed: 1 or more")
        request = {
            "kind": "stream",
            "path": str(path.absolute()),  # the child's working folder is the first one
            "decoder": decoder,
            "chunk_frames": chunk_frames,
            "allow_damaged": allow_damaged,
        }
        stream, header = self._begin(request)
        stream.info = VideoInfo(**{**header["info"], "path": Path(header["info"]["path"])})
        return stream

    def probe(self, path: Path) -> tuple[ContainerFacts, str]:
        """The facts of a container, and the decoder that "auto" takes.

        Raises DecodeError as `stream` does.
        """
        request = {"kind": "probe", "path": str(path.absolute()), "decoder": "pyav"}
        stream, header = self._begin(request)
        stream._finish(child_is_usable=True)
        facts = header["facts"]
        structure = Structure(**facts["structure"])
        return ContainerFacts(**{**facts, "path": path, "structure": structure}), header["decoder"]

    def _begin(self, request: dict[str, Any]) -> tuple[FrameStream, dict[str, Any]]:
        """Send a request; gives the stream that it opens, and the first header of the answer."""
        if self._current is not None:
            raise RuntimeError(
                "a DecodeWorker gives one stream at a time; close the last one first"
            )
        is_new = self._child is None
        if self._child is None:
            self._child = _Child()
        self._number += 1
        numbered = {**request, "number": self._number}
        stream = FrameStream(self, self._child, numbered, self.timeout_seconds)
        self._current = stream
        try:
            return stream, stream._open()
        except _ChildCrashed:
            if is_new:
                raise
            # It may have died before this video came: a new child tells.
            return self._begin(request)

    def close(self) -> None:
        """End the child, and a stream that is open. A later stream starts a new child."""
        if self._current is not None:
            self._current._finish(child_is_usable=False)
        self._drop_child()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ended(self, child_is_usable: bool) -> None:
        self._current = None
        if not child_is_usable:
            self._drop_child()

    def _drop_child(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


class FrameStream:
    """The frames of one video, in display order; iterate over it once.

    Yields uint8 arrays (n, height, width, 3), RGB, n = `chunk_frames` but for the last. `info` is
    known at once, `stats` after the last chunk. When iteration raises DecodeError, the chunks
    before it are not the whole video and should be dropped.
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
        """Counts of the whole video. Raises RuntimeError before its end."""
        if self._stats is None:
            raise RuntimeError("the counts are known after the last chunk")
        return self._stats

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return self

    def __next__(self) -> NDArray[np.uint8]:
        if not self._running:
            if self._stats is None:
                raise RuntimeError("the stream was closed before its end")
            raise StopIteration
        deadline = time.monotonic() + self._timeout
        header = self._receive(deadline)
        if header["kind"] == "memory":
            self._child.share(header, self._guarded(receive_descriptor, deadline))
            header = self._receive(deadline)
        if header["kind"] == "end":
            self._stats = DecodeStats(**header["stats"])
            self._finish(child_is_usable=True)
            raise StopIteration
        if "slot" in header:
            return self._child.view(header)
        frames = np.empty(header["shape"], dtype=np.uint8)
        self._guarded(receive_into, frames.data.cast("B"), deadline)
        return frames

    def close(self) -> None:
        """Stop decoding. Twice, or after the end, is harmless."""
        if not self._running:
            return
        deadline = time.monotonic() + min(CANCEL_SECONDS, self._timeout)
        try:
            self._child.sender.send({"kind": "cancel", "number": self._request["number"]})
            self._discard_rest(deadline)
        except (ChannelClosed, TimeoutError):
            self._finish(child_is_usable=False)
        else:
            self._finish(child_is_usable=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self) -> dict[str, Any]:
        deadline = time.monotonic() + self._timeout
        try:
            self._child.sender.send(self._request)
        except ChannelClosed:
            raise self._crashed() from None
        return self._receive(deadline)

    def _receive(self, deadline: float) -> dict[str, Any]:
        header: dict[str, Any] = self._guarded(receive_header, deadline)
        if header["kind"] == "error":
            self._finish(child_is_usable=True)
            raise DecodeError(header["message"], retry=header["retry"])
        return header

    def _guarded(self, receive: Callable[..., Any], *arguments: Any) -> Any:
        """Receive from the child; whatever goes wrong leaves no half-read message behind."""
        try:
            return receive(self._child.link, *arguments)
        except ChannelClosed:
            raise self._crashed() from None
        except TimeoutError:
            self._finish(child_is_usable=False)
            raise self._failed(
                f"no frames within {self._timeout:g} s, decoding was stopped"
            ) from None
        except BaseException:
            self._finish(child_is_usable=False)
            raise

    def _discard_rest(self, deadline: float) -> None:
        while True:
            header = receive_header(self._child.link, deadline)
            if header["kind"] in ("end", "error"):
                return
            if header["kind"] == "memory":
                self._child.share(header, receive_descriptor(self._child.link, deadline))
            elif "slot" in header:
                self._child.view(header)  # looked at by nobody: the slot is free at once
            elif rest := header.get("payload", 0):
                receive_into(self._child.link, memoryview(bytearray(rest)), deadline)

    def _crashed(self) -> _ChildCrashed:
        cause = self._child.cause_of_death()
        self._finish(child_is_usable=False)
        error = self._failed(f"the decoder crashed ({cause})")
        return _ChildCrashed(str(error), retry=error.retry)

    def _failed(self, what: str) -> DecodeError:
        # Before `info` is there, "auto" may still be at Decord, which reads files alone.
        decoder = self.info.decoder if hasattr(self, "info") else "decord"
        is_file = not Path(self._request["path"]).is_dir()
        is_first_try = self._request["decoder"] == "auto" and not self._request.get("allow_damaged")
        retry = is_first_try and decoder == "decord" and is_file
        return DecodeError(f"{self._request['path']}: {what}", retry="pyav" if retry else None)

    def _finish(self, *, child_is_usable: bool) -> None:
        if self._running:
            self._running = False
            self._worker._ended(child_is_usable)


class _ChildCrashed(DecodeError):
    """The child died while a video was its task."""


class _Sender:
    """Messages to the child, from any thread: the last view of a slot may end in any."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._lock = threading.RLock()  # one may end while this thread sends

    def send(self, header: dict[str, Any]) -> None:
        """Send a message. Raises ChannelClosed."""
        with self._lock:
            send(self._link, header)

    def free(self, generation: int, slot: int) -> None:
        """Tell that a slot may be filled again; of no use to a child that is gone."""
        with suppress(ChannelClosed):
            self.send({"kind": "free", "generation": generation, "slot": slot})


class _Child:
    """A decode process, the socket to it, and the memory that both share."""

    def __init__(self) -> None:
        self.link, theirs = socket.socketpair()
        # Linux kills the child with the *thread* that started it: only the main one lasts as long
        # as the process. Elsewhere the end of the socket has to do.
        parent = os.getpid() if threading.current_thread() is threading.main_thread() else 0
        with theirs:
            arguments = [str(theirs.fileno()), str(parent)]
            self._process = subprocess.Popen(
                # -P: no module in the working folder takes the place of a library.
                [sys.executable, "-P", "-W", "ignore", "-m", CHILD_MODULE, *arguments],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the caller to handle
            )
        noise: deque[bytes] = deque(maxlen=NOISE_LINES)
        assert self._process.stderr is not None
        listener = threading.Thread(
            target=_keep_last_lines, args=(self._process.stderr, noise), daemon=True
        )
        listener.start()
        self._noise, self._listener = noise, listener
        self.sender = _Sender(self.link)
        self._slots: ReadSlots | None = None
        self.end = weakref.finalize(self, _end, os.getpid(), self.link, self._process, listener)

    @property
    def pid(self) -> int:
        return self._process.pid

    def share(self, header: dict[str, Any], descriptor: int) -> None:
        """Take the child's new memory, which `header` describes."""
        layout = Layout(header["generation"], header["slot_bytes"])
        self._slots = ReadSlots(layout, descriptor, self.sender.free)

    def view(self, header: dict[str, Any]) -> NDArray[np.uint8]:
        """The frames of a message that names a slot."""
        assert self._slots is not None
        return self._slots.view(header["slot"], tuple(header["shape"]))

    def cause_of_death(self) -> str:
        """In a few words: the signal or exit code, and the last line that the child wrote."""
        try:
            code = self._process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return "it closed its channel"
        self._listener.join(EXIT_SECONDS)
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        if code == -signal.SIGKILL:
            how += ", perhaps for lack of memory"
        last = b"".join(list(self._noise)[-1:]).decode("utf-8", "replace").strip()
        return f"{how}: {last[:200]}" if last else how


def _keep_last_lines(pipe: IO[bytes], lines: deque[bytes]) -> None:
    with pipe:
        # Bounded reads: noise may come without line ends.
        while line := pipe.readline(4096):
            if line.strip():
                lines.append(line)


def _end(
    owner: int, link: socket.socket, process: subprocess.Popen[bytes], listener: threading.Thread
) -> None:
    """Kill the child and wait for it. Nothing in it is worth a farewell."""
    link.close()
    if os.getpid() != owner:  # a forked copy of the owner does not own the child
        return
    process.kill()
    process.wait()
    listener.join(EXIT_SECONDS)
