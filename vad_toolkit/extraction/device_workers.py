"""Several devices: a process each, which asks for the next video when it has room for it.

The process that runs this alone hands out videos, longest first, and alone gets the results. A
process that dies takes no other down. The videos that it had in hand are made by the others, each
then alone in its process, so that one that ends its process twice is known and given up.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Self

import torch

from vad_toolkit.core.processes import end_with
from vad_toolkit.errors import VadError
from vad_toolkit.extraction.extractor import Extractor, OnFrames
from vad_toolkit.extraction.in_progress import Extracted
from vad_toolkit.extraction.plan import longest_first
from vad_toolkit.extraction.sources import VideoSource

MakeExtractor = Callable[[str], Extractor]
REPORT_SECONDS = 0.1  # between two reports of frames


@dataclass(frozen=True)
class _Ask:
    """A process asks for a video; with `wait` it has nothing to do, and waits until there is one.

    Without, the answer None says that there is none just now.
    """

    wait: bool


@dataclass(frozen=True)
class _Frames:
    """So many frames of a video are decoded."""

    id: str
    done: int
    reported: int


@dataclass
class _Worker:
    """A process, and what is known of it here."""

    device: str
    process: SpawnProcess
    link: Connection
    hand: dict[str, VideoSource] = field(default_factory=dict)
    waits: bool = False
    alone: bool = False  # the one video in hand has ended a process before
    made: int = 0


def extract_in_processes(
    make: MakeExtractor, devices: Sequence[str], videos: Sequence[VideoSource], on_frames: OnFrames
) -> Generator[Extracted, None, None]:
    """Features of videos, as they are finished, by one process for each of `devices`.

    Args:
        make: an extractor for a device; picklable.
        devices: `cpu` or `cuda:N`; the CPU's threads are divided between those on it.
        videos: with ids that differ.
        on_frames: called for each video now and then.

    Raises:
        VadError: what an extractor raises when it is made, or all processes have died.
    """
    with _Pool(make, devices, longest_first(videos)) as pool:
        yield from pool.results(on_frames)


class _Pool:
    """The processes, and who has which video. A context manager; leaving it kills them."""

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
        self._again: deque[VideoSource] = deque()  # were in the hand of a process that died
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
        for worker in self._workers:  # killed: nothing in them is worth a farewell
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.link.close()

    def results(self, on_frames: OnFrames) -> Iterator[Extracted]:
        """What the processes make of all videos."""
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
                    del worker.hand[message.source.id]
                    worker.alone = False
                    worker.made += 1
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
        # What a terminal or a scheduler sends to all of them is for this process to handle: the
        # others inherit that these signals are blocked.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            process.start()
        finally:
            theirs.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._workers.append(_Worker(device, process, link))

    def _next(self, worker: _Worker) -> VideoSource | None:
        """The video that a process is to take now, noted as in its hand."""
        if worker.alone:
            return None
        if self._fresh:
            video = self._fresh.popleft()
        elif self._again and not worker.hand:
            video = self._again.popleft()
            worker.alone = True
        else:
            return None
        worker.hand[video.id] = video
        return video

    def _answer(self, worker: _Worker, video: VideoSource | None) -> None:
        with suppress(OSError):  # it has died: told when its messages are at their end
            worker.link.send(video)

    def _lost(self, worker: _Worker) -> Iterator[Extracted]:
        """A process has died. Another one takes its place, unless the device may be to blame."""
        self._workers.remove(worker)
        worker.link.close()
        worker.process.join()
        cause = _cause(worker.process.exitcode)
        if worker.made or worker.alone:
            self._start(worker.device)
        if worker.alone:
            for video in worker.hand.values():
                self._left -= 1
                error = VadError(f"{video.path}: its process died twice (at last: {cause})")
                yield Extracted(video, None, error)
        else:
            self._again.extend(worker.hand.values())
        if self._left and not self._workers:
            raise VadError(
                f"all processes died (the last one: {cause}): give the same command again, perhaps "
                "with fewer devices or --jobs; what was finished is kept"
            )


def _cause(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"{name}, perhaps for lack of memory" if name == "SIGKILL" else name


def _work(make: MakeExtractor, device: str, threads: int, link: Connection, parent: int) -> None:
    """In a process of its own: make features of the videos that it is given, until it is killed."""
    end_with(parent)
    torch.set_num_threads(threads)
    try:
        extractor = make(device)
    except VadError as error:
        link.send(error)
        return
    sending = threading.Lock()  # decoders' threads ask, the main one has results
    reported = 0.0

    def send(message: object) -> None:
        with sending:
            link.send(message)

    def ask(*, wait: bool) -> VideoSource | None:
        send(_Ask(wait))
        answer: VideoSource | None = link.recv()
        return answer

    def videos() -> Iterator[VideoSource]:
        video = ask(wait=True)
        while video is not None:
            yield video
            video = ask(wait=False)

    def on_frames(video: VideoSource, done: int, expected: int) -> None:
        nonlocal reported
        if time.monotonic() - reported >= REPORT_SECONDS:
            reported = time.monotonic()
            send(_Frames(video.id, done, expected))

    while True:  # each time, what waits for company in a batch is done when there is none
        for result in extractor.extract_many(videos(), on_frames):
            send(result)
