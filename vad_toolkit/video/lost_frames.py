"""Lost frames of a video: their number and their positions in display order.

Every packet gets a number, which FFmpeg passes through the decoder to the frame, so that frames can
be matched with packets in any order. A frame is lost if its packet failed, if it never came out of
the decoder, or if the decoder had to repair it (error concealment).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

MOST_UNEVEN = 0.2  # of an interval; times are rounded (to milliseconds in Matroska)


@dataclass(kw_only=True)
class Losses:
    """Record of one video's packets and frames, added in the order in which they are read."""

    every_packet: bool  # each packet has a picture, so that one without a frame is a loss
    smallest: int = 0  # bytes; smaller packets have no picture
    starts_anywhere: bool = False  # failures before the first key frame are not damage
    placed: bool = False  # packet times show between which frames a frame was lost
    is_torn: bool = False  # whole packets may be missing, which leaves gaps of several intervals
    interval: float | None = None  # from frame to frame, in units of their times; None if unknown

    packets: int = 0  # not hidden by an edit list
    leading: int = 0  # of these: before the first one that can be decoded, which is not damage
    empty: int = 0  # of these: too small for a picture
    frames: int = 0  # good frames
    failures: int = 0  # packets and frames that are certainly damaged
    before_last: int = 0  # lost frames before the last good one
    failed_at_start: bool = False  # there was damage before the first good frame
    is_ordered: bool = True  # frames came in the order of their times
    end_seconds: float = 0.0
    first_time: int | None = None  # earlier packets are leading
    last_time: int | None = None  # of the last good frame
    _number: int = -1
    _due: dict[int, int | None] = field(default_factory=dict)  # times of packets without a frame
    _failed: set[int] = field(default_factory=set)
    _repaired: int = 0  # frames since the last good one
    _keyframe_seen: bool = False

    def __post_init__(self) -> None:
        self.is_regular = not self.is_torn or self.interval is not None  # whole intervals apart

    @property
    def lost(self) -> int:
        """All lost frames so far. Exact only at the end, because decoders hold frames back."""
        if self.is_torn:
            return self.before_last + self._repaired + self._lost_among(self._due)
        pictures = self.packets - self.leading - self.empty
        absent = pictures - self.frames if self.every_packet else 0
        return max(absent, self.failures, self.before_last)

    def add_packet(self, packet: Packet[VideoStream]) -> None:
        """Number and count a packet that is decoded next."""
        self._number += 1
        packet.opaque = self._number
        self._keyframe_seen |= packet.is_keyframe
        if packet.is_discard:
            return
        self.packets += 1
        if packet.is_corrupt:  # found by the container format; the decoder may not notice
            self.failures += 1
            self._failed.add(self._number)
        if packet.pts is not None:
            end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
            self.end_seconds = max(self.end_seconds, end)
        if self._is_leading(packet.pts):
            self.leading += 1
        elif packet.size < self.smallest:
            self.empty += 1
        else:
            self._due[self._number] = packet.pts

    def add_failure(self) -> None:
        """Record that the last packet could not be decoded."""
        # Before its first key frame, a stream without a header cannot be decoded.
        if self.starts_anywhere and not self._keyframe_seen:
            self._forget(self._number)
            self.failed_at_start = True
            return
        self.failures += self._number not in self._failed
        self._failed.add(self._number)

    def add_frame(self, frame: VideoFrame) -> int | None:
        """Return the number of frames lost just before this one, None if this one is lost too."""
        number = frame.opaque if isinstance(frame.opaque, int) else -1
        if self.first_time is None:
            self._start(frame)
        is_counted = number not in self._due  # already counted as lost: it comes too late
        has_failed = number in self._failed
        self._forget(number)
        if has_failed or frame.is_corrupt:
            self.failures += not has_failed
            self._repaired += not is_counted
            self.failed_at_start |= self.frames == 0
            return None
        self.frames += 1
        in_file = self._repaired + self._overtaken(frame)
        lost = self._gap(frame) if self.is_torn and self.interval else in_file
        if frame.pts is not None:
            self.is_ordered &= self.last_time is None or frame.pts >= self.last_time
            self.last_time = frame.pts
        self._repaired = 0
        self.before_last += lost
        return lost

    def _start(self, frame: VideoFrame) -> None:
        # A recording that starts within a group of pictures has packets before its first frame that
        # have no picture. If one of them failed, the frames after it are lost.
        times = [self._due.get(number) for number in self._failed] + [frame.pts]
        self.first_time = min((time for time in times if time is not None), default=None)
        leading = [number for number, time in self._due.items() if self._is_leading(time)]
        self.leading += len(leading)
        self._forget(*leading)

    def _is_leading(self, time: int | None) -> bool:
        return time is not None and self.first_time is not None and time < self.first_time

    def _overtaken(self, frame: VideoFrame) -> int:
        """Forget the packets due before `frame`; return how many of them are lost."""
        if not (self.placed or self.is_torn) or frame.pts is None:
            return 0
        times = self._due.items()
        late = [number for number, time in times if time is not None and time < frame.pts]
        lost = self._lost_among(late)
        self._forget(*late)
        return lost

    def _lost_among(self, numbers: Iterable[int]) -> int:
        return sum(self.every_packet or number in self._failed for number in numbers)

    def _gap(self, frame: VideoFrame) -> int:
        """Return how many frames fit into the gap between the last frame and this one."""
        assert self.interval is not None
        if self.first_time is None or frame.pts is None:
            self.is_regular = False
            return 0
        before = self.first_time - self.interval if self.last_time is None else self.last_time
        steps = (frame.pts - before) / self.interval
        self.is_regular &= round(steps) >= 1 and abs(steps - round(steps)) <= MOST_UNEVEN
        return max(round(steps) - 1, 0)

    def _forget(self, *numbers: int) -> None:
        self._failed.difference_update(numbers)
        for number in numbers:
            self._due.pop(number, None)
