"""Frames through PyAV (FFmpeg), one packet at a time, with every loss counted.

A video that lost frames is refused: after the gap, the rest would be shifted against its labels.
No frame is handed out after the first loss, but reading goes on to the end, so that the error can
say how many frames of how many are lost. Up to `allow_damaged` lost frames are replaced by copies
instead, each by the frame before it, so that nothing is shifted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import av
import numpy as np
from av.codec.context import Flags
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ..errors import DecodeError
from .losses import Losses
from .probe import ContainerFacts, ends_early, open_container
from .reader import DecodeStats, info_of, new_chunk

DECODE_THREADS = 1  # as with Decord: one process a video scales better
COUNT_SECONDS = 10.0  # how long the rest of a damaged video is read, only to count what is lost


class PyAVReader:
    """A `VideoReader` on PyAV."""

    def __init__(self, facts: ContainerFacts, allow_damaged: int = 0) -> None:
        self.info = info_of(facts, "pyav", av.__version__)
        self._facts = facts
        self._container, self._stream = open_container(facts.path)
        self._stream.codec_context.thread_count = DECODE_THREADS
        self._stream.codec_context.flags |= Flags.copy_opaque  # see `Losses`
        self._reformatter = VideoReformatter()
        # AVI has no times: those of reordered frames are made up.
        self._has_times = not (facts.has_container("avi") and facts.codec in ("h264", "hevc"))
        self._has_times |= not self._stream.codec_context.has_b_frames
        self._allowed = allow_damaged if self._has_times else 0
        self._handed_out = self._copies = self._missing = 0
        self._demux_error = ""

    @property
    def stats(self) -> DecodeStats:
        reported = self.info.frames_reported
        return DecodeStats(self._handed_out, reported, self._copies, self._missing)

    def chunks(self, size: int) -> Iterator[NDArray[np.uint8]]:
        chunk, filled = new_chunk(size, self.info), 0
        for picture in self._pictures():
            chunk[filled] = picture
            filled += 1
            self._handed_out += 1
            if filled == size:
                yield chunk
                chunk, filled = new_chunk(size, self.info), 0
        if filled:
            yield chunk[:filled]

    def close(self) -> None:
        self._container.close()

    def _pictures(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the video with copies in the place of lost frames."""
        last: NDArray[np.uint8] | None = None
        for frame, lost in self._frames():
            picture = self._upright_rgb(frame)
            for _ in range(lost):
                self._copies += 1
                yield picture if last is None else last
            yield picture
            last = picture

    def _frames(self) -> Iterator[tuple[VideoFrame, int]]:
        """Yield good frames, each with the number of lost ones before it.

        Once more are lost than allowed, the rest is read only to count what is lost.
        """
        losses = Losses(every_packet=shows_every_packet(self._facts), placed=self._allowed > 0)
        deadline = float("inf")
        for packet in self._packets(losses):
            try:
                frames = self._stream.codec_context.decode(packet)
            except av.FFmpegError:
                losses.add_failure()
                frames = []
            for frame in frames:
                before = losses.add_frame(frame)
                if before is not None and not self._is_beyond(losses):
                    yield frame, before
            if self._is_beyond(losses):
                deadline = min(deadline, time.monotonic() + COUNT_SECONDS)
                if time.monotonic() > deadline:
                    break
        self._check(losses, read_whole=time.monotonic() <= deadline)

    def _is_beyond(self, losses: Losses) -> bool:
        return max(losses.failures, losses.before_last) > self._allowed

    def _packets(self, losses: Losses) -> Iterator[Packet[VideoStream] | None]:
        """Yield packets with data, then None, which makes the decoder give what it held back."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                self._demux_error = str(error.strerror)
                break
            if packet is None:
                break
            if packet.size:  # an empty packet amid the others would end the decoding
                losses.add_packet(packet)
                yield packet
        yield None

    def _check(self, losses: Losses, read_whole: bool) -> None:
        """Raise DecodeError where more frames are missing than allowed."""
        facts = self._facts
        unread, why = self._unread(losses) if read_whole else (0, "")
        expected = losses.packets + unread
        lost = losses.lost + unread
        if losses.frames == 0:
            raise DecodeError(f"{facts.path}: no frame of {expected} can be decoded")
        if lost > self._allowed:
            total = f"{expected}" if read_whole else f"about {facts.frames_estimated or expected}"
            at_least = "" if read_whole else "at least "
            raise DecodeError(
                f"{facts.path}: damaged or cut short, frames lost: {at_least}{lost} of {total}{why}"
                + self._allowance
            )
        if lost and not losses.is_ordered:
            raise DecodeError(
                f"{facts.path}: damaged, frames lost: {lost} of {expected}; where they belong is "
                "not known, since its frames do not come in the order of their times"
            )
        self._missing = lost - self._copies

    def _unread(self, losses: Losses) -> tuple[int, str]:
        """How many frames the end of the file lacks, and how that is known."""
        facts = self._facts
        if facts.samples is not None and losses.packets < facts.samples:
            return facts.samples - losses.packets, ""
        if self._demux_error:
            # The header's count, where it can be believed, and one frame at least.
            unread = max(facts.frames_reported - losses.packets, 1)
            return unread, f" (it cannot be read on, {self._demux_error})"
        if ends_early(losses.end_seconds, facts):
            assert facts.seconds is not None
            unread = max(round((facts.seconds - losses.end_seconds) * facts.fps), 1)
            return (
                unread,
                f" (it ends after {losses.end_seconds:.1f} of {facts.seconds:.1f} seconds)",
            )
        return 0, ""

    @property
    def _allowance(self) -> str:
        if not self._has_times:
            return "; none can be allowed, since its container does not tell where they belong"
        return f"; allowed: {self._allowed} (--allow-damaged)"

    def _upright_rgb(self, frame: VideoFrame) -> NDArray[np.uint8]:
        # The plain conversion of FFmpeg, as in Decord: bit-equal wherever chroma needs no scaling.
        # Where the picture size changes, what comes later is scaled to the first, as in Decord.
        try:
            picture = self._reformatter.reformat(
                frame,
                width=self._facts.width,
                height=self._facts.height,
                format="rgb24",
                interpolation=Interpolation.BILINEAR,
                threads=1,
            )
        except av.FFmpegError as error:
            raise DecodeError(
                f"{self._facts.path}: pictures of the format {frame.format.name} cannot be "
                f"turned into RGB ({error.strerror})"
            ) from error
        pixels: NDArray[np.uint8] = picture.to_ndarray()  # type: ignore[assignment]
        return np.rot90(pixels, -self._facts.rotation // 90)


def shows_every_packet(facts: ContainerFacts) -> bool:
    """Say whether every packet shows a picture, as the sample table of MP4 and MOV lists them.

    VP8 has packets that show none, MPEG-4 in AVI has empty ones, and what is cut out of MPEG-TS
    need not be whole.
    """
    if facts.samples is not None:
        return True
    return facts.codec in ("h264", "hevc") and facts.has_container("mov", "matroska")
