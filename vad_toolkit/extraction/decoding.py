"""Decoding ahead of the device: several decoder processes, one bounded queue.

Each of a few threads waits for a decoder process of its own, so that none of them costs more than
the copy of the frames. The queue is bounded by bytes: what lies in it is all that is decoded ahead.
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
from types import TracebackType
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
    """A video begins, or begins again with another decoder: what came of it before is void."""

    index: int
    info: VideoInfo


@dataclass(frozen=True)
class Frames:
    """The next frames of a video, uint8 (n, height, width, 3), in pinned memory for a GPU."""

    index: int
    frames: Tensor


@dataclass(frozen=True)
class Ended:
    """All frames of a video have been given."""

    index: int
    stats: DecodeStats
    source_sha256: str


@dataclass(frozen=True)
class Failed:
    """A video cannot be used; frames that were given of it are void."""

    index: int
    error: DecodeError | OSError


Event = Opened | Frames | Ended | Failed


class DecodeAhead:
    """Events of several videos, `jobs` of them decoded at a time, each one's own in order.

    A context manager; iterate once. Videos begin in the order given; each is asked for when a
    decoder is free for it. Closing early ends the decoder processes, whatever they are doing.
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
        self._queue = _ByteQueue(QUEUE_BYTES)
        self._workers = [DecodeWorker(timeout_seconds) for _ in range(max(1, jobs))]
        self._threads = [
            threading.Thread(target=self._decode_all, args=(worker,), daemon=True)
            for worker in self._workers
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._queue.close()
        for worker in self._workers:
            # The thread may be waiting for its decoder: without one it stops waiting.
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
            self._queue.put(_NoMore(), 0)
        except _Closed:
            return
        except BaseException as error:  # ours, not a video's: for the thread that reads
            self._queue.put_error(error)

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
            self._queue.put(Failed(index, error), 0)

    def _stream(self, worker: DecodeWorker, index: int, path: Path, decoder: str) -> None:
        with worker.stream(
            path, decoder, self._chunk_frames, allow_damaged=self._allow_damaged
        ) as stream:
            self._queue.put(Opened(index, stream.info), 0)
            for chunk in stream:
                frames = torch.from_numpy(chunk)
                self._queue.put(
                    Frames(index, frames.pin_memory() if self._pinned else frames), chunk.nbytes
                )
            stats = stream.stats
        self._queue.put(Ended(index, stats, source_sha256(path)), 0)


class _NoMore:
    """A thread found no video left to decode."""


class _Closed(Exception):
    """Nobody reads the queue any more."""


class _ByteQueue:
    """A queue that holds at most so many bytes, or one item that is larger."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._items: deque[tuple[Event | _NoMore | BaseException, int]] = deque()
        self._changed = threading.Condition()
        self.closed = False

    def put(self, item: Event | _NoMore, size: int) -> None:
        """Wait for room, then append. Raises _Closed."""
        with self._changed:
            while self._bytes and self._bytes + size > self._limit and not self.closed:
                self._changed.wait()
            if self.closed:
                raise _Closed
            self._append(item, size)

    def put_error(self, error: BaseException) -> None:
        with self._changed:
            self._append(error, 0)

    def _append(self, item: Event | _NoMore | BaseException, size: int) -> None:
        self._items.append((item, size))
        self._bytes += size
        self._changed.notify_all()

    def get(self) -> Event | _NoMore | BaseException:
        """Wait for an item."""
        with self._changed:
            while not self._items:
                self._changed.wait(1.0)  # so that a signal is seen in time
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
