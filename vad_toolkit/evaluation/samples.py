"""Samples of scored videos: a whole test set, or a bootstrap resample of its videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.evaluation.pools import FramePools, ScoredVideo
from vad_toolkit.evaluation.ranking import RankedRuns, Ranking, Runs, ascending

FALSE_ALARM_THRESHOLD = 0.5


class ScoredSet:
    """The V scored videos of a test set, sorted once for all metrics and all resamples."""

    def __init__(self, videos: Sequence[ScoredVideo]) -> None:
        self.videos = tuple(videos)
        self.labels = np.array([video.label for video in self.videos])

    @cached_property
    def pools(self) -> FramePools:
        """Frames of abnormal events, of normal videos, and the other frames of abnormal videos."""
        return FramePools(self.videos)

    @cached_property
    def frames(self) -> RankedRuns:
        """Abnormal frames among all normal frames."""
        return RankedRuns(self.pools.positives, self.pools.normal_videos, self.pools.negatives)

    @cached_property
    def abnormal_video_frames(self) -> RankedRuns:
        """Abnormal frames among the normal frames of abnormal videos."""
        return RankedRuns(self.pools.positives, self.pools.negatives)

    @cached_property
    def peaks(self) -> RankedRuns:
        """Abnormal videos among normal videos, each with its highest frame score."""
        highest = np.array([video.scores.max() for video in self.videos])
        order = ascending(highest)
        every = Runs(highest[order], np.ones(len(order), np.int64), order)
        abnormal = self.labels[order] == 1
        return RankedRuns(every.chosen(abnormal), every.chosen(~abnormal))

    @cached_property
    def false_alarms(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """False alarms and normal frames per video, (2, V): of normal, then of abnormal videos."""
        return self._alarms(self.pools.normal_videos), self._alarms(self.pools.negatives)

    def _alarms(self, normal: Runs) -> NDArray[np.int64]:
        alarms = np.where(normal.scores >= FALSE_ALARM_THRESHOLD, normal.frames, 0)
        counts = [
            np.bincount(normal.owners, weights, minlength=len(self.videos))
            for weights in (alarms, normal.frames)
        ]
        return np.array(counts).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Sample:
    """The videos that a metric is computed over.

    Attributes:
        scored: All videos of the test set.
        times: (V,) int64, how often the sample contains each of them; None if once each.
    """

    scored: ScoredSet
    times: NDArray[np.int64] | None = None

    @property
    def videos(self) -> tuple[ScoredVideo, ...]:
        """The sample's videos, repeated as often as they were drawn."""
        if self.times is None:
            return self.scored.videos
        return tuple(
            video
            for video, count in zip(self.scored.videos, self.times.tolist(), strict=True)
            for _ in range(count)
        )

    @cached_property
    def frames(self) -> Ranking:
        """All frames, ranked by score."""
        return self.scored.frames.ranking(self.times)

    @cached_property
    def abnormal_video_frames(self) -> Ranking:
        """The frames of abnormal videos, ranked by score."""
        return self.scored.abnormal_video_frames.ranking(self.times)

    @cached_property
    def peaks(self) -> Ranking:
        """The videos, ranked by their highest frame score."""
        return self.scored.peaks.ranking(self.times)

    def false_alarms(self, *, abnormal_videos: bool) -> tuple[int, int]:
        """Return the number of normal frames scoring >= 0.5, and of all normal frames.

        Args:
            abnormal_videos: Whether the normal frames of abnormal videos count too.
        """
        normal, others = self.scored.false_alarms
        counts = normal + others if abnormal_videos else normal
        alarms, frames = counts.sum(axis=1) if self.times is None else counts @ self.times
        return int(alarms), int(frames)
