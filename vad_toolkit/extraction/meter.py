"""How far an extraction is: frames done of all videos, and a guess of how many there are."""

from __future__ import annotations

from collections.abc import Sequence

from vad_toolkit.core.progress import ProgressCallback, ProgressEvent
from vad_toolkit.extraction.sources import VideoSource
from vad_toolkit.video.paths import source_bytes


class Meter:
    """Counts frames of several videos at once.

    The total is guessed from sizes in bytes: only decoding tells how many frames there are.
    """

    def __init__(
        self, videos: Sequence[VideoSource], progress: ProgressCallback, stage: str = "extract"
    ) -> None:
        self.progress = progress
        self.stage = stage
        self._sizes = {video.id: source_bytes(video.path) for video in videos}
        self._bytes_left = sum(self._sizes.values())
        self._bytes_done = 0
        self._frames_done = 0
        self._videos_done = 0
        self._in_hand: dict[str, tuple[int, int]] = {}  # id -> frames done, frames reported

    def frames(self, video: VideoSource, done: int, reported: int) -> None:
        """`done` frames of a video are decoded, of `reported` by its container (0: unknown)."""
        self._in_hand[video.id] = (done, max(done, reported))
        frames = self._frames_done + sum(done for done, _ in self._in_hand.values())
        expected = self._frames_done + sum(total for _, total in self._in_hand.values())
        in_hand = sum(self._sizes[id] for id in self._in_hand)
        density = expected / max(self._bytes_done + in_hand, 1)
        total = max(expected + density * (self._bytes_left - in_hand), frames + 1)
        note = f"video {self._videos_done + 1} of {len(self._sizes)}, {video.id}"
        self.progress(ProgressEvent(self.stage, frames, total, "frames", note))

    def finished(self, video: VideoSource, frames: int) -> None:
        """Count a video as done; a failed one has no frames, and its bytes tell nothing."""
        self._in_hand.pop(video.id, None)
        size = self._sizes[video.id]
        self._bytes_left -= size
        self._videos_done += 1
        if frames:
            self._bytes_done += size
            self._frames_done += frames
        if self._videos_done == len(self._sizes):
            done = self._frames_done
            note = f"{self._videos_done} videos"
            self.progress(ProgressEvent(self.stage, done, done, "frames", note))
