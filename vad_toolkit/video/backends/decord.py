"""Frames through Decord, in sequence and in its strict mode.

Decord fills frames that it cannot decode at the end of a video with copies of the last one,
silently (`fault_tol` 0 or below means: never mind). Here the first such copy is an error, and so is
a frame count below the one that the container's own table promises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import decord
import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import DecodeError
from vad_toolkit.video.probe import ContainerFacts, ends_early
from vad_toolkit.video.reader import DecodeStats, info_of, new_chunk

FIRST_COPY_IS_AN_ERROR = 1e-6  # share of the frames that may be copies; 0 would mean any number
DECODE_THREADS = 1  # decoding runs beside the consumer already; one process a video scales better

decord.logging.set_level(decord.logging.QUIET)


class DecordReader:
    """A `VideoReader` on Decord. `retry` is put into every DecodeError that PyAV may not share."""

    def __init__(self, facts: ContainerFacts, *, retry: str | None = None) -> None:
        self.info = info_of(facts, "decord", decord.__version__)
        self._retry = retry
        self._decoded = 0
        if facts.structure.damage:
            raise self._error(facts.structure.damage)
        try:
            self._video: decord.VideoReader | None = decord.VideoReader(
                str(facts.path.absolute()),
                num_threads=DECODE_THREADS,
                fault_tol=FIRST_COPY_IS_AN_ERROR,
            )
        except Exception as error:  # Decord raises its own errors, RuntimeError and AssertionError
            raise self._error(f"Decord cannot open it ({_first_cause(error)})") from error
        self._frames = len(self._video)
        if facts.samples is not None and self._frames < facts.samples:
            raise self._error(f"only {self._frames} of {facts.samples} frames are in the file")
        if facts.seconds is not None:
            end = float(self._video.get_frame_timestamp(self._frames - 1)[1])
            if ends_early(end, facts):
                raise self._error(f"ends after {end:.1f} of {facts.seconds:.1f} seconds")
        held = decord_bytes(facts, self._frames)
        if held > DECORD_MEMORY_LIMIT:
            raise self._error(
                f"Decord may hold {held / 2**30:.1f} GiB of its frames "
                f"(limit {DECORD_MEMORY_LIMIT / 2**30:g}); use the decoder pyav"
            )

    @property
    def stats(self) -> DecodeStats:
        return DecodeStats(self._decoded, self.info.frames_reported, 0)

    def chunks(self, size: int) -> Iterator[NDArray[np.uint8]]:
        while self._decoded < self._frames:
            count = min(size, self._frames - self._decoded)
            chunk = new_chunk(count, self.info)
            for index in range(count):
                chunk[index] = self._next()
            yield chunk

    def _next(self) -> NDArray[np.uint8]:
        assert self._video is not None, "the reader was closed"
        try:
            frame: NDArray[np.uint8] = self._video.next().asnumpy()
        except Exception as error:  # as above; StopIteration among them
            raise self._error(
                f"Decord gave {self._decoded} of {self._frames} frames ({_first_cause(error)})"
            ) from error
        height, width = frame.shape[:2]
        if (width, height) != (self.info.width, self.info.height):
            raise self._error(
                f"frame {self._decoded} is {width}x{height}, "
                f"not {self.info.width}x{self.info.height}"
            )
        self._decoded += 1
        return frame

    def close(self) -> None:
        self._video = None

    def _error(self, what: str) -> DecodeError:
        return DecodeError(f"{self.info.path}: {what}", retry=self._retry)


def _first_cause(error: Exception) -> str:
    """The innermost message of a Decord error, without its C++ places and stack trace."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    innermost = re.split(r"\.cc:\d+: (?:\[[^\]]*\] ?)?", first)[-1]
    return re.sub(r"^Check failed: .*\(.*\) ", "", innermost).strip()[:160]


# Decord decodes ahead of an idle consumer up to the end of the file, so that this many bytes of
# frames are what it may hold. Longer videos go to PyAV, which is as fast and holds one frame.
DECORD_MEMORY_LIMIT = 1 << 30


def decord_bytes(facts: ContainerFacts, frames: int) -> int:
    """Bytes that Decord may come to hold for an idle consumer: every frame, in RGB."""
    return frames * facts.width * facts.height * 3
