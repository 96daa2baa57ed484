"""PyAV (FFmpeg) backend, which decodes packet by packet and counts every lost frame.

A video that lost frames is refused, because the frames after the gap would be shifted against their
labels. After the first loss no frame is returned, but reading continues to the end, so that the
error can report how many frames are lost. Up to `allow_damaged` lost frames are replaced by copies
of the frames before them instead, which shifts nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import av
import numpy as np
from av.codec.context import Flags
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vad_toolkit.errors import DecodeError
from vad_toolkit.video.lost_frames import Losses
from vad_toolkit.video.probe import ContainerFacts, ends_early, open_container
from vad_toolkit.video.reader import Decoder, DecodeStats, VideoReader, info_of

DECODE_THREADS = 1  # one process per video scales better
# Bytes. Smaller MPEG-4 packets only repeat the last picture; FFmpeg uses the same limit.
SMALLEST_PICTURE = {"mpeg4": 20}
STREAMS = ("mpegts", "mpeg", "h264", "hevc", "mpegvideo")  # recordings may start anywhere in these
COUNT_SECONDS = 10.0  # time limit for reading the rest of a damaged video to count lost frames


class PyAVReader(VideoReader):
    """A `VideoReader` on PyAV."""

    def __init__(self, facts: ContainerFacts, allow_damaged: int = 0) -> None:
        super().__init__(info_of(facts, "pyav", av.__version__))
        self._facts = facts
        self._container, self._stream = open_container(facts.path)
        self._stream.codec_context.thread_count = DECODE_THREADS
        self._stream.codec_context.flags |= Flags.copy_opaque  # see `Losses`
        self._reformatter = VideoReformatter()
        self._unplaced = why_unplaced(facts, bool(self._stream.codec_context.has_b_frames))
        self._allowed = 0 if self._unplaced else allow_damaged
        self._copies = self._missing = 0
        self._demux_error = ""

    @property
    def stats(self) -> DecodeStats:
        return replace(super().stats, frames_duplicated=self._copies, frames_missing=self._missing)

    def close(self) -> None:
        self._container.close()

    def _pictures(self) -> Iterator[NDArray[np.uint8]]:
        """Yield the video's pictures, with copies in the positions of lost frames."""
        last: NDArray[np.uint8] | None = None
        for frame, lost in self._frames():
            picture = self._upright_rgb(frame)
            for _ in range(lost):
                self._copies += 1
                yield picture if last is None else last
            yield picture
            last = picture

    def _frames(self) -> Iterator[tuple[VideoFrame, int]]:
        """Yield good frames, each with the number of lost frames just before it.

        When more frames are lost than allowed, the rest is read only to count the losses.
        """
        facts = self._facts
        losses = Losses(
            every_packet=shows_every_packet(facts),
            smallest=0 if facts.samples else SMALLEST_PICTURE.get(facts.codec, 0),
            starts_anywhere=facts.has_container(*STREAMS),
            placed=self._allowed > 0,
            is_torn=self._is_torn,
            interval=self._interval,
        )
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

    @property
    def _is_torn(self) -> bool:
        """True if packets may have disappeared; transport streams have no list of packets."""
        damage = self._facts.structure.damage and not self._unplaced
        return bool(damage) or self._facts.has_container("mpegts")

    @property
    def _interval(self) -> float | None:
        """Time between frames, if a gap is the only sign of packets that disappeared."""
        facts = self._facts
        is_listed = facts.samples is not None or facts.has_container("avi")
        if is_listed or facts.fps <= 0 or self._stream.time_base is None:
            return None
        return float(1 / (facts.fps * self._stream.time_base))

    def _is_beyond(self, losses: Losses) -> bool:
        if not self._allowed:  # gaps are judged at the end, because the frame rate may vary
            return bool(self._facts.structure.damage) or losses.failures > 0
        return max(losses.failures, losses.before_last) > self._allowed

    def _packets(self, losses: Losses) -> Iterator[Packet[VideoStream] | None]:
        """Yield packets with data, then None, which flushes the decoder."""
        try:
            for packet in self._container.demux(self._stream):
                if packet.size:  # an empty packet between others would end the decoding
                    losses.add_packet(packet)
                    yield packet
        except av.FFmpegError as error:
            self._demux_error = str(error.strerror)
        yield None

    def _check(self, losses: Losses, read_whole: bool) -> None:
        """Raise DecodeError if more frames are lost than allowed, or their number is unknown."""
        facts, damage = self._facts, self._facts.structure.damage
        unread, why = self._unread(losses) if read_whole else (0, "")
        lost = losses.lost + unread
        is_damaged = bool(damage) or losses.failures > 0 or unread > 0
        if self._is_torn and not is_damaged and not losses.is_regular:
            lost = self._copies  # with a varying frame rate, gaps are normal
        total = max(losses.packets + unread, facts.frames_estimated if damage else 0)
        if losses.frames == 0:
            raise DecodeError(f"{facts.path}: no frame of {total} can be decoded")
        problem = f"{facts.path}: {damage or 'damaged or cut short'}"
        if lost > self._allowed or (damage and not self._allowed):
            if not read_whole:
                counted = f"frames lost: at least {lost} of about {facts.frames_estimated or total}"
            else:
                counted = f"frames lost: {lost} of {total}{why}" if lost else "frames may be lost"
            allowance = self._unplaced or f"allowed: {self._allowed} (--allow-damaged)"
            raise DecodeError(f"{problem}, {counted}; {allowance}")
        # A damaged picture header can move the picture to another position.
        is_moved = not losses.is_ordered and facts.has_container("mov", "matroska")
        unknown = self._why_uncountable(losses) if lost or damage or is_moved else ""
        if unknown:
            raise DecodeError(f"{problem}; number and positions of lost frames unknown: {unknown}")
        self._missing = lost - self._copies

    def _unread(self, losses: Losses) -> tuple[int, str]:
        """Return how many frames are missing at the end of the file, and the evidence for it."""
        facts = self._facts
        expected = facts.samples or facts.structure.packets or 0
        if facts.structure.is_cut:
            expected = expected or facts.frames_reported
        if losses.packets < expected:
            return expected - losses.packets, ""
        if self._demux_error:
            return 1, f" at least (reading stopped: {self._demux_error})"
        if facts.structure.damage and facts.seconds and self._interval and losses.last_time:
            # The file is known to be damaged, so the duration tag needs no tolerance.
            last = losses.last_time / self._interval + 1  # frames up to that time
            after = max(round(facts.seconds * facts.fps - last), 0)
            return max(after - (losses.lost - losses.before_last), 0), ""
        if ends_early(losses.end_seconds, facts):
            assert facts.seconds is not None
            why = f" (it ends after {losses.end_seconds:.1f} of {facts.seconds:.1f} seconds)"
            return max(round((facts.seconds - losses.end_seconds) * facts.fps), 1), why
        return 0, ""

    def _why_uncountable(self, losses: Losses) -> str:
        """Return why frame times cannot locate the lost frames, or "" if they can."""
        if self._demux_error and self._facts.samples is None:
            return f"reading stopped ({self._demux_error})"
        if not losses.is_ordered:
            return "its frames do not come in the order of their times"
        if self._is_torn and not losses.is_regular:
            return "its frame rate varies"
        is_stream = self._facts.has_container(*STREAMS)
        if losses.failed_at_start if is_stream else self._is_torn and losses.first_time:
            return "its start is missing"
        return ""

    def _upright_rgb(self, frame: VideoFrame) -> NDArray[np.uint8]:
        # FFmpeg's plain conversion, as in Decord: bit-equal unless chroma must be scaled. If the
        # picture size changes, later pictures are scaled to the first size, as in Decord.
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
                f"{self._facts.path}: pixel format {frame.format.name} cannot be converted to RGB "
                f"({error.strerror})"
            ) from error
        pixels: NDArray[np.uint8] = picture.to_ndarray()  # type: ignore[assignment]
        return np.rot90(pixels, -self._facts.rotation // 90)


def shows_every_packet(facts: ContainerFacts) -> bool:
    """Return whether every packet has a picture, as in the sample tables of MP4 and MOV.

    VP8 has packets without one, and a part cut out of MPEG-TS may start or end within a picture.
    """
    if facts.samples is not None:
        return True
    is_known = facts.codec in ("h264", "hevc", "vp9", "av1", "mpeg4")
    return is_known and facts.has_container("mov", "matroska", "avi")


def why_unplaced(facts: ContainerFacts, is_reordered: bool) -> str:
    """Return why the position of a lost frame cannot be known, or "" if it can."""
    if facts.has_container("avi") and is_reordered:
        return "none can be allowed, because AVI does not store the times of reordered frames"
    damage = facts.structure.damage and not facts.structure.is_cut
    if damage and (facts.samples is not None or facts.has_container("avi", "mpegts")):
        return "none can be allowed, because their positions are unknown"
    return ""


PYAV = Decoder(open=PyAVReader, suits=lambda facts, allow_damaged: True, replaces_lost_frames=True)
