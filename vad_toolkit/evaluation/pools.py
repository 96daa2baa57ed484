"""Scored videos, and samples of them: a whole test set, or a bootstrap resample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import InputError
from vad_toolkit.evaluation.ranking import Ranking, Runs, check_labels, check_scores

FALSE_ALARM_THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class ScoredVideo:
    """Frame scores and ground truth of one video.

    Attributes:
        id: Id of the video, for error messages.
        label: 0 normal, 1 abnormal.
        scores: (F,) float32 or float64, higher is more abnormal; F >= 1.
        labels: (F,) 0 or 1, the ground truth of each frame.
        classes: The classes of anomaly in it; only used for abnormal videos.
        class_labels: (F,) 0 or 1 by class, for classes with known events: the abnormal frames of
            this class.

    Raises:
        InputError: If shapes differ, there are no frames, a label is not 0 or 1, a normal video has
            abnormal frames, or class labels contradict the classes or the labels.
        VadError: If a score is NaN or infinite.
    """

    id: str
    label: int
    scores: NDArray[np.floating[Any]]
    labels: NDArray[np.uint8]
    classes: tuple[str, ...] = ()
    class_labels: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.scores.ndim != 1 or self.scores.shape != self.labels.shape:
            raise InputError(
                f"video {self.id!r}: scores have shape {self.scores.shape} and labels "
                f"{self.labels.shape}; both must be (frames,)"
            )
        if len(self.scores) == 0:
            raise InputError(f"video {self.id!r} has no frames; leave it out")
        check_scores(self.scores, f"video {self.id!r}")
        check_labels(self.labels, f"video {self.id!r}")
        if self.label not in (0, 1):
            raise InputError(f"video {self.id!r}: label must be 0 or 1, got {self.label!r}")
        if self.label == 0 and self.labels.any():
            raise InputError(f"video {self.id!r} is labeled normal but has abnormal frames")
        for name, labels in self.class_labels.items():
            if name not in self.classes:
                raise InputError(
                    f"video {self.id!r} has labels of {name!r}, which is not one of its classes"
                )
            if labels.shape != self.labels.shape:
                raise InputError(
                    f"video {self.id!r}: labels of {name!r} have shape {labels.shape}, expected "
                    f"{self.labels.shape}"
                )
            check_labels(labels, f"video {self.id!r}: {name}")
            if (labels > self.labels).any():
                raise InputError(
                    f"video {self.id!r}: a normal frame is labeled {name!r}; labels of a class "
                    "must be within those of the video"
                )


class ScoredSet:
    """The V scored videos of a test set, whose frames are sorted once for all resamples."""

    def __init__(self, videos: Sequence[ScoredVideo], frames: Runs | None = None) -> None:
        self.videos = tuple(videos)
        self.labels = np.array([video.label for video in videos])
        self.frames = frames or self._runs().ascending()

    def _runs(self) -> Runs:
        """Return runs of one video, score and label, and of one label of each class."""
        scores = np.concatenate([video.scores for video in self.videos])
        labels = np.concatenate([video.labels for video in self.videos])
        starts = np.cumsum([0, *(len(video.scores) for video in self.videos[:-1])])
        changes = np.ones(len(scores), np.bool_)
        np.not_equal(scores[1:], scores[:-1], out=changes[1:])
        changes[1:] |= labels[1:] != labels[:-1]
        for start, video in zip(starts, self.videos, strict=True):
            for of_class in video.class_labels.values():
                changes[start + 1 : start + len(of_class)] |= of_class[1:] != of_class[:-1]
        changes[starts] = True
        first = np.flatnonzero(changes)
        owners = np.searchsorted(starts, first, "right") - 1
        items = np.diff(first, append=len(scores))
        return Runs(scores[first], labels[first] == 1, items, owners, first)

    @cached_property
    def abnormal_video_frames(self) -> Runs:
        """Frames of abnormal videos."""
        members = (self.labels == 1)[self.frames.owners] & (self.frames.items > 0)
        return self.frames.select(np.flatnonzero(members), "frames in abnormal videos")

    @cached_property
    def peaks(self) -> Runs:
        """Videos, each with its highest frame score."""
        highest = np.array([video.scores.max() for video in self.videos])
        index, ones = np.arange(len(highest)), np.ones(len(highest), np.int64)
        return Runs(highest, self.labels == 1, ones, index, index, "videos").ascending()

    @cached_property
    def false_alarms(self) -> NDArray[np.int64]:
        """Normal frames that score >= 0.5, and all normal frames, of each video, (2, V)."""
        frames, videos = self.frames, len(self.videos)
        normal = np.where(frames.abnormal, 0, frames.items)
        alarms = np.where(frames.scores >= FALSE_ALARM_THRESHOLD, normal, 0)
        counts = [np.bincount(frames.owners, part, videos) for part in (alarms, normal)]
        return np.array(counts).astype(np.int64)

    def of_class(self, name: str) -> ScoredSet:
        """Return the set with only the frames of normal videos and of videos of the class.

        Frames that are known to be abnormal by other classes alone are left out too.
        """
        members = [video.label == 0 or name in video.classes for video in self.videos]
        keep = np.array(members)[self.frames.owners]
        if any(name in video.class_labels for video in self.videos):
            same = [
                video.class_labels.get(name, video.labels) == video.labels for video in self.videos
            ]
            keep &= np.concatenate(same)[self.frames.first]
        items, abnormal = np.where(keep, self.frames.items, 0), self.frames.abnormal & keep
        return ScoredSet(self.videos, replace(self.frames, items=items, abnormal=abnormal))


@dataclass(frozen=True, eq=False)
class Sample:
    """The videos that a metric is computed over: a test set, or a resample of its videos.

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
        counted = zip(self.scored.videos, self.times.tolist(), strict=True)
        return tuple(video for video, count in counted for _ in range(count))

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
        """Return the number of normal frames that score >= 0.5, and of all normal frames.

        Those of abnormal videos count only with `abnormal_videos`.
        """
        counted = (self.scored.labels == 0) | abnormal_videos
        times = counted * np.int64(1) if self.times is None else counted * self.times
        alarms, frames = self.scored.false_alarms @ times
        return int(alarms), int(frames)
