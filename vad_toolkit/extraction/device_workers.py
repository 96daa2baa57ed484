"""Extraction on several devices: one worker process per device.

Workers ask for their next video; the main process hands out videos, longest first, and receives the
results. When a worker dies, the others continue and repeat its videos, each alone in its process:
so a video that kills two workers is identified and given up.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Self

import torch

from vad_toolkit.core.processes import end_with
from vad_toolkit.errors import VadError
from vad_toolkit.extraction.extractor import MakeExtractor, OnFrames
from vad_toolkit.extraction.in_progress import Extracted
from vad_toolkit.extraction.plan import longest_first
from vad_toolkit.extraction.sources import VideoSource

REPORT_SECONDS = 0.1  # between two reports of frames


@dataclass(frozen=True)
class _Ask:
    """Request for a video. With `wait` the worker is idle; else the answer may be None, for now."""

    wait: bool


@dataclass(frozen=True)
class _Frames:
    """Progress of a video in a worker."""

    id: str
    done: int
    reported: int


@dataclass
class _Worker:
    """A worker process as the main process sees it."""

    device: str
    process: SpawnProcess
    link: Connection
    videos: dict[str, VideoSource] = field(default_factory=dict)  # in progress, by id
    waits: bool = False  # it is idle
    alone: bool = False  # its only video has killed a process before
    finished: int = 0  # results


def extract_in_processes(
    make: MakeExtractor, devices: Sequence[str], videos: Sequence[VideoSource], on_frames: OnFrames
) -> Generator[Extracted, None, None]:
    """Yield the features of videos as they are finished, with one worker process per device.

    `make` must be picklable. Devices are "cpu" or "cuda:N" each, and workers on the CPU divide its
    threads among them.

    Raises:
        VadError: If an extractor cannot be made (its own error), or all workers have died.
    """
    with _Pool(make, devices, longest_first(videos)) as pool:
        yield from pool.results(on_frames)


class _Pool:
    """The workers and their videos. A context manager; leaving it kills the workers."""

    def __init__(
        self, make: MakeExtractor, devices: Sequence[str], videos: Sequence[VideoSource]
    ) -> None:
        self._make = make
        self._devices = devices
        self._threads = max(1, torch.get_num_threads() // max(1, devices.count("cpu")))
        self._context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
        self._workers: list[_Worker] = []
        self._videos = {video.id: video for video in videos}
        self._fresh = deque(videos)
        self._again: deque[VideoSource] = deque()  # in progress in a worker that died
        self._left = len(videos)

    def __enter__(self) -> Self:
        try:
            for device in self._devices[: self._left]:
                self._start(device)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:  # nothing in them is worth an orderly exit
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.link.close()

    def results(self, on_frames: OnFrames) -> Iterator[Extracted]:
        """Yield the results of all videos."""
        while self._left:
            for worker in self._workers:
                if worker.waits and (video := self._next(worker)) is not None:
                    worker.waits = False
                    self._answer(worker, video)
            ready = set(wait([worker.link for worker in self._workers]))
            for worker in [worker for worker in self._workers if worker.link in ready]:
                try:
                    message = worker.link.recv()
                except (EOFError, OSError):
                    yield from self._lost(worker)
                    continue
                if isinstance(message, VadError):
                    raise message
                if isinstance(message, _Frames):
                    on_frames(self._videos[message.id], message.done, message.reported)
                elif isinstance(message, _Ask):
                    worker.waits = message.wait
                    if not message.wait:
                        self._answer(worker, self._next(worker))
                else:
                    del worker.videos[message.source.id]
                    worker.alone = False
                    worker.finished += 1
                    self._left -= 1
                    yield message

    def _start(self, device: str) -> None:
        link, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_work,
            args=(self._make, device, self._threads, theirs, os.getpid()),
            name=f"extract on {device}",
            daemon=True,
        )
        # Signals that a terminal or a scheduler sends to the whole group are handled here only:
        # workers inherit that they are blocked.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            process.start()
        finally:
            theirs.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._workers.append(_Worker(device, process, link))

    def _next(self, worker: _Worker) -> VideoSource | None:
        """Assign the next video to a worker, if there is one for it."""
        if worker.alone:
            return None
        if self._fresh:
            video = self._fresh.popleft()
        elif self._again and not worker.videos:
            video = self._again.popleft()
            worker.alone = True
        else:
            return None
        worker.videos[video.id] = video
        return video

    def _answer(self, worker: _Worker, video: VideoSource | None) -> None:
        with suppress(OSError):  # it has died, which is handled after its last message
            worker.link.send(video)

    def _lost(self, worker: _Worker) -> Iterator[Extracted]:
        """Handle a worker's death. Start another one, unless its device may be the cause."""
        self._workers.remove(worker)
        worker.link.close()
        worker.process.join()
        cause = _cause(worker.process.exitcode)
        if worker.finished or worker.alone:
            self._start(worker.device)
        if worker.alone:
            for video in worker.videos.values():
                self._left -= 1
                error = VadError(f"{video.path}: its worker process died twice (last: {cause})")
                yield Extracted(video, None, error)
        else:
            self._again.extend(worker.videos.values())
        if self._left and not self._workers:
            raise VadError(
                f"all worker processes died (the last one: {cause}); run the same command again, "
                "perhaps with fewer devices or --jobs (finished work is kept)"
            )


def _cause(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"{name}, perhaps because memory ran out" if name == "SIGKILL" else name


def _work(make: MakeExtractor, device: str, threads: int, link: Connection, parent: int) -> None:
    """Extract the videos that the main process hands out, until this process is killed."""
    end_with(parent)
    torch.set_num_threads(threads)
    try:
        extractor = make(device)
    except VadError as error:
        link.send(error)
        return
    sending = threading.Lock()  # the decoders' threads ask for videos, the main one sends results
    reported = 0.0

    def send(message: object) -> None:
        with sending:
            link.send(message)

    def videos() -> Iterator[VideoSource]:
        send(_Ask(wait=True))
        while (video := link.recv()) is not None:
            yield video
            send(_Ask(wait=False))

    def on_frames(video: VideoSource, done: int, expected: int) -> None:
        nonlocal reported
        if time.monotonic() - reported >= REPORT_SECONDS:
            reported = time.monotonic()
            send(_Frames(video.id, done, expected))

    while True:  # each pass ends by computing the clips that wait for a full batch
        for result in extractor.extract_many(videos(), on_frames):
            send(result)
