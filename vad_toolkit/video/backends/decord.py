"""Decord backend, read sequentially and in strict mode.

By default Decord silently fills frames that it cannot decode at the end of a video with copies of
the last good one (`fault_tol` of 0 or less means any number). Here the first such copy is an error,
and so is a frame count below that of the container's own table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import DecodeError
from vad_toolkit.video.probe import ContainerFacts, ends_early
from vad_toolkit.video.reader import Decoder, VideoReader, info_of

# Containers in which Decord returned every frame bit for bit when read sequentially. Excluded are
# AVI (the decoders differ after damage), MPEG-TS (Decord returns no frame) and GIF (it refuses it).
CONTAINERS = ("mov", "matroska", "flv", "asf", "mpeg")
# In other codecs (H.264, MPEG-4 and related ones), FFmpeg repairs damaged pictures with parts of
# others. PyAV reports these pictures; Decord returns them as if they were good, and for HEVC even
# frames that do not exist.
CODECS = ("vp8", "vp9", "mjpeg", "ffv1")
# Bytes. If its consumer is idle, Decord decodes ahead up to the end of the file, so this limits the
# memory that it may use. PyAV reads longer videos as fast, and holds one frame.
MEMORY_LIMIT = 1 << 30
FIRST_COPY_IS_AN_ERROR = 1e-6  # share of the frames that may be copies; 0 would mean any number
DECODE_THREADS = 1  # decoding already runs beside the consumer; one process per video scales better


class DecordReader(VideoReader):
    """A `VideoReader` on Decord."""

    def __init__(self, facts: ContainerFacts, allow_damaged: int = 0) -> None:
        import decord

        decord.logging.set_level(decord.logging.QUIET)
        super().__init__(info_of(facts, "decord", decord.__version__))
        if facts.structure.damage:
            raise self._error(facts.structure.damage)
        try:
            self._video: Any = decord.VideoReader(
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
        if (size := _frame_bytes(facts, self._frames)) > MEMORY_LIMIT:
            raise self._error(
                f"Decord may hold {size / 2**30:.1f} GiB of its frames in memory "
                f"(limit {MEMORY_LIMIT / 2**30:g}); use decoder pyav"
            )

    def _pictures(self) -> Iterator[NDArray[np.uint8]]:
        for index in range(self._frames):
            try:
                frame = self._video.next().asnumpy()
            except Exception as error:  # as above, and StopIteration
                problem = f"Decord returned {index} of {self._frames} frames"
                raise self._error(f"{problem} ({_first_cause(error)})") from error
            yield frame

    def close(self) -> None:
        self._video = None

    def _error(self, problem: str) -> DecodeError:
        return DecodeError(f"{self.info.path}: {problem}")


def suits(facts: ContainerFacts, allow_damaged: int) -> bool:
    """Return whether Decord reads a video as correctly as PyAV, and within `MEMORY_LIMIT`."""
    if allow_damaged or facts.structure.damage or facts.cut:
        return False
    is_known = facts.codec in CODECS and facts.has_container(*CONTAINERS)
    return is_known and 0 < _frame_bytes(facts, facts.frames_estimated) <= MEMORY_LIMIT


def _frame_bytes(facts: ContainerFacts, frames: int) -> int:
    return frames * facts.width * facts.height * 3


def _first_cause(error: Exception) -> str:
    """Return the innermost message of a Decord error, without C++ source lines and stack trace."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    innermost = re.split(r"\.cc:\d+: (?:\[[^\]]*\] ?)?", first)[-1]
    return re.sub(r"^Check failed: .*\(.*\) ", "", innermost).strip()[:160]


DECORD = Decoder(open=DecordReader, suits=suits)
