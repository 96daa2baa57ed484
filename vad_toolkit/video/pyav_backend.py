"""Frames through PyAV (FFmpeg), one packet at a time, with every loss counted.

A video that lost frames is refused: after the gap, the rest would be shifted against its labels.
No frame is handed out after the first loss, but reading goes on to the end, so that the error can
say how many frames of how many are lost.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import av
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ..errors import DecodeError
from .probe import ContainerFacts, ends_early, open_container
from .reader import DecodeStats, info_of, new_chunk

DECODE_THREADS = 1  # as with Decord: one process a video scales better
COUNT_SECONDS = 10.0  # how long the rest of a damaged video is read, only to count what is lost


class PyAVReader:
    """A `VideoReader` on PyAV."""

    def __init__(self, facts: ContainerFacts) -> None:
        self.info = info_of(facts, "pyav", av.__version__)
        self._facts = facts
        self._container, self._stream = open_container(facts.path)
        self._stream.codec_context.thread_count = DECODE_THREADS
        self._reformatter = VideoReformatter()
        self._handed_out = 0

    @property
    def stats(self) -> DecodeStats:
        return DecodeStats(self._handed_out, self.info.frames_reported, 0)

    def chunks(self, size: int) -> Iterator[NDArray[np.uint8]]:
        chunk, filled = new_chunk(size, self.info), 0
        for frame in self._frames():
            chunk[filled] = self._upright_rgb(frame)
            filled += 1
            self._handed_out += 1
            if filled == size:
                yield chunk
                chunk, filled = new_chunk(size, self.info), 0
        if filled:
            yield chunk[:filled]

    def close(self) -> None:
        self._container.close()

    def _frames(self) -> Iterator[VideoFrame]:
        """Yield frames up to the first loss, then read on to count what is lost, and raise."""
        tally = _Tally()
        deadline = float("inf")
        for packet in self._packets(tally):
            try:
                frames = self._stream.codec_context.decode(packet)
            except av.FFmpegError:
                tally.add_failure()
                deadline = min(deadline, time.monotonic() + COUNT_SECONDS)
                frames = []
            for frame in frames:
                tally.add_frame(frame)
                if tally.failures == 0:
                    yield frame
            if time.monotonic() > deadline:
                break
        self._check(tally, read_whole=time.monotonic() <= deadline)

    def _packets(self, tally: _Tally) -> Iterator[Packet[VideoStream] | None]:
        """Yield packets with data, then None, which makes the decoder give what it held back."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                tally.demux_error = str(error.strerror)
                break
            if packet is None:
                break
            if packet.size:  # an empty packet amid the others would end the decoding
                tally.add_packet(packet)
                yield packet
        yield None

    def _check(self, tally: _Tally, read_whole: bool) -> None:
        """Raise DecodeError where frames are missing."""
        facts = self._facts
        expected = facts.samples or tally.shown_packets
        lost = tally.failures
        if read_whole and (facts.samples or one_picture_a_packet(facts)):
            lost = max(lost, expected - tally.frames - tally.leading_packets)
        if tally.frames == 0:
            raise DecodeError(f"{facts.path}: no frame of {expected} can be decoded")
        if lost > 0:
            total = f"{expected}" if read_whole else f"about {facts.frames_estimated or expected}"
            at_least = "" if read_whole else "at least "
            raise DecodeError(
                f"{facts.path}: damaged or cut short, frames lost: {at_least}{lost} of {total}"
            )
        if tally.demux_error:
            raise DecodeError(
                f"{facts.path}: cannot be read on after {tally.frames} frames ({tally.demux_error})"
            )
        if ends_early(tally.end_seconds, facts):
            raise DecodeError(
                f"{facts.path}: damaged or cut short, "
                f"it ends after {tally.end_seconds:.1f} of {facts.seconds:.1f} seconds"
            )

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


def one_picture_a_packet(facts: ContainerFacts) -> bool:
    """Say whether every packet shows a picture. VP8 and VP9 have packets that show none, MPEG-4 in
    AVI has empty ones, and what is cut out of MPEG-TS need not be whole."""
    return facts.codec in ("h264", "hevc") and facts.has_container("mov", "matroska")


@dataclass
class _Tally:
    """What came in and what came out.

    `leading_packets` are to be shown before the first frame that could be decoded: a recording that
    starts amid a group of pictures has some, and they are no damage.
    """

    shown_packets: int = 0
    frames: int = 0
    failures: int = 0
    leading_packets: int = 0
    demux_error: str = ""
    end_seconds: float = 0.0
    _keyframe_seen: bool = False
    _first_pts: int | None = None
    _early_pts: list[int] = field(default_factory=list)  # of packets before the first frame

    def add_packet(self, packet: Packet[VideoStream]) -> None:
        self._keyframe_seen |= packet.is_keyframe
        if packet.is_discard:
            return
        self.shown_packets += 1
        if packet.pts is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self.end_seconds = max(self.end_seconds, end)
            if self._first_pts is not None:
                self.leading_packets += packet.pts < self._first_pts
            elif self.frames == 0:
                self._early_pts.append(packet.pts)

    def add_frame(self, frame: VideoFrame) -> None:
        self.frames += 1
        if self.frames == 1 and frame.pts is not None:
            self._first_pts = frame.pts
            self.leading_packets = sum(pts < frame.pts for pts in self._early_pts)
            self._early_pts.clear()

    def add_failure(self) -> None:
        # Before the first key frame there is nothing to decode from.
        self.failures += self._keyframe_seen
