"""Progress of an extraction: frames of all videos, with an estimate of their total."""

from __future__ import annotations

from collections.abc import Sequence

from vad_toolkit.core.progress import ProgressCallback, ProgressEvent
from vad_toolkit.extraction.sources import VideoSource
from vad_toolkit.video.paths import source_bytes


class Meter:
    """Counter of the frames of several videos in progress at once.

    The total is estimated from file sizes, since only decoding gives the number of frames.
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
        self._open: dict[str, tuple[int, int]] = {}  # id -> frames done, frames expected

    def frames(self, video: VideoSource, done: int, reported: int) -> None:
        """Report that `done` frames are decoded of `reported` by the container (0 if unknown)."""
        self._open[video.id] = (done, max(done, reported))
        frames = self._frames_done + sum(done for done, _ in self._open.values())
        expected = self._frames_done + sum(total for _, total in self._open.values())
        open_bytes = sum(self._sizes[id] for id in self._open)
        density = expected / max(self._bytes_done + open_bytes, 1)
        total = max(expected + density * (self._bytes_left - open_bytes), frames + 1)
        note = f"video {self._videos_done + 1} of {len(self._sizes)}, {video.id}"
        self.progress(ProgressEvent(self.stage, frames, total, "frames", note))

    def finished(self, video: VideoSource, frames: int) -> None:
        """Count a video as done; with 0 frames it has failed, and its size says nothing."""
        self._open.pop(video.id, None)
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
