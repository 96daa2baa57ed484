"""Decoding ahead of the device: several decoder processes and one queue with a limit in bytes.

One thread per decoder process waits for its frames and copies them into the queue.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from vad_toolkit.errors import DecodeError
from vad_toolkit.video.paths import source_sha256
from vad_toolkit.video.reader import DecodeStats, VideoInfo
from vad_toolkit.video.worker import DecodeWorker

QUEUE_BYTES = 256 << 20
CLOSE_SECONDS = 5.0


@dataclass(frozen=True)
class Opened:
    """A video starts, or starts again with another decoder: discard its earlier frames."""

    index: int
    info: VideoInfo


@dataclass(frozen=True)
class Frames:
    """The next frames of a video, uint8 (n, height, width, 3); in pinned memory for a GPU."""

    index: int
    frames: Tensor


@dataclass(frozen=True)
class Ended:
    """The end of a video, after all its frames."""

    index: int
    stats: DecodeStats
    source_sha256: str


@dataclass(frozen=True)
class Failed:
    """A video that cannot be used: discard its frames."""

    index: int
    error: DecodeError | OSError


Event = Opened | Frames | Ended | Failed


class DecodeAhead:
    """Iterator over the events of several videos; those of one video are in order.

    A context manager, to be iterated once. Leaving it ends the decoder processes, whatever they are
    doing.

    Args:
        paths: The videos in order. The next one is requested when a decoder is free.
        jobs: The number of decoder processes, and of videos decoded at the same time.
        decoder: "auto" or the name of a decoder.
        timeout_seconds: Longest wait for a video to open, and for its next chunk.
        allow_damaged: Lost frames of a video file that copies may replace.
        pinned: Put the frames in pinned memory.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        *,
        jobs: int = 1,
        decoder: str = "auto",
        chunk_frames: int = 16,
        timeout_seconds: float = 60.0,
        allow_damaged: int = 0,
        pinned: bool = False,
    ) -> None:
        self._paths = enumerate(paths)
        self._pulling = threading.Lock()
        self._decoder = decoder
        self._chunk_frames = chunk_frames
        self._allow_damaged = allow_damaged
        self._pinned = pinned
        self._queue = _ByteQueue()
        self._workers = [DecodeWorker(timeout_seconds) for _ in range(max(1, jobs))]
        self._threads = [
            threading.Thread(target=self._decode_all, args=(worker,), daemon=True)
            for worker in self._workers
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._queue.close()
        for worker in self._workers:
            # The thread may be waiting for its decoder; it stops when the decoder ends.
            if (pid := worker.pid) is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for thread in self._threads:
            thread.join(CLOSE_SECONDS)

    def __iter__(self) -> Iterator[Event]:
        running = len(self._threads)
        while running:
            event = self._queue.get()
            if isinstance(event, BaseException):
                raise event
            if isinstance(event, _NoMore):
                running -= 1
            else:
                yield event

    def _decode_all(self, worker: DecodeWorker) -> None:
        try:
            with worker:
                while not self._queue.closed and (video := self._pull()) is not None:
                    self._decode(worker, *video)
            self._queue.put(_NoMore())
        except _Closed:
            return
        except BaseException as error:  # not a problem of the video: raise it in the reader
            with suppress(_Closed):
                self._queue.put(error)

    def _pull(self) -> tuple[int, Path] | None:
        with self._pulling:
            return next(self._paths, None)

    def _decode(self, worker: DecodeWorker, index: int, path: Path) -> None:
        try:
            try:
                self._stream(worker, index, path, self._decoder)
            except DecodeError as first:
                if first.retry is None or self._queue.closed:
                    raise
                try:
                    self._stream(worker, index, path, first.retry)
                except DecodeError as second:
                    raise DecodeError(
                        f"{second} (before, with another decoder: {first})"
                    ) from first
        except (DecodeError, OSError) as error:
            self._queue.put(Failed(index, error))

    def _stream(self, worker: DecodeWorker, index: int, path: Path, decoder: str) -> None:
        with worker.stream(
            path, decoder, self._chunk_frames, allow_damaged=self._allow_damaged
        ) as stream:
            self._queue.put(Opened(index, stream.info))
            for chunk in stream:
                frames = torch.from_numpy(chunk)
                self._queue.put(
                    Frames(index, frames.pin_memory() if self._pinned else frames), chunk.nbytes
                )
            stats = stream.stats
        self._queue.put(Ended(index, stats, source_sha256(path)))


class _NoMore:
    """The end of a thread: no video is left."""


class _Closed(Exception):
    """The queue is no longer read."""


class _ByteQueue:
    """A queue with a limit in bytes; a single larger item is allowed."""

    def __init__(self) -> None:
        self._bytes = 0
        self._items: deque[tuple[Event | _NoMore | BaseException, int]] = deque()
        self._changed = threading.Condition()
        self.closed = False

    def put(self, item: Event | _NoMore | BaseException, size: int = 0) -> None:
        """Append an item when there is room. Raises _Closed if the queue is closed."""
        with self._changed:
            while self._bytes and size and self._bytes + size > QUEUE_BYTES and not self.closed:
                self._changed.wait()
            if self.closed:
                raise _Closed
            self._items.append((item, size))
            self._bytes += size
            self._changed.notify_all()

    def get(self) -> Event | _NoMore | BaseException:
        """Wait for the next item."""
        with self._changed:
            while not self._items:
                self._changed.wait(1.0)  # Python handles signals between two waits
            item, size = self._items.popleft()
            self._bytes -= size
            self._changed.notify_all()
            return item

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._items.clear()
            self._bytes = 0
            self._changed.notify_all()
