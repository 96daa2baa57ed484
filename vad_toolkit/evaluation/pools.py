"""Scored videos, and their frames in three sorted pools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import InputError
from vad_toolkit.evaluation.ranking import Runs, ascending, check_labels, check_scores


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
            self._check_class(name, labels)

    def _check_class(self, name: str, labels: NDArray[np.uint8]) -> None:
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
                f"video {self.id!r}: a normal frame is labeled {name!r}; labels of a class must "
                "be within those of the video"
            )


class FramePools:
    """The frames of all videos as sorted runs, in three pools.

    Attributes:
        positives: Abnormal frames.
        normal_videos: Frames of normal videos.
        negatives: Normal frames of abnormal videos.
    """

    def __init__(self, videos: Sequence[ScoredVideo]) -> None:
        self._videos = videos
        scores = np.concatenate([video.scores for video in videos])
        labels = np.concatenate([video.labels for video in videos])
        self._bounds = np.cumsum([0, *(len(video.scores) for video in videos)])
        first = np.flatnonzero(self._changes(scores, labels))
        self._frames = np.diff(first, append=len(scores))
        self._scores = scores[first]
        self._owners = np.repeat(
            np.arange(len(videos)), np.diff(np.searchsorted(first, self._bounds))
        )
        positive = labels[first] == 1
        normal = np.array([video.label == 0 for video in videos])[self._owners]
        at = self._sorted(positive)
        self._positive_frames = first[at]
        self.positives = self._runs(at)
        self.normal_videos = self._runs(self._sorted(normal))
        self.negatives = self._runs(self._sorted(~positive & ~normal))

    def of_class(self, name: str) -> tuple[Runs, Runs]:
        """Return the abnormal frames of a class, and the normal frames of its videos.

        In videos with known events per class, frames that are abnormal by other classes alone are
        in neither.
        """
        members = np.array([video.label == 1 and name in video.classes for video in self._videos])
        keep = members[self.positives.owners]
        if self._other_classes.get(name) is not None:
            keep &= ~self._other_classes[name][self._positive_frames]
        return self.positives.chosen(keep), self.negatives.chosen(members[self.negatives.owners])

    @cached_property
    def _other_classes(self) -> Mapping[str, NDArray[np.bool_]]:
        """(frames of all videos,) by class: whether a frame is known not to be of the class."""
        marked: dict[str, NDArray[np.bool_]] = {}
        for start, video in zip(self._bounds, self._videos, strict=False):
            for name, labels in video.class_labels.items():
                frames = marked.setdefault(name, np.zeros(self._bounds[-1], np.bool_))
                frames[start : start + len(labels)] = labels == 0
        return marked

    def _changes(
        self, scores: NDArray[np.floating[Any]], labels: NDArray[np.uint8]
    ) -> NDArray[np.bool_]:
        """Mark frames that start a run: a new video, score, label, or label of a class."""
        changes = np.empty(len(scores), np.bool_)
        np.not_equal(scores[1:], scores[:-1], out=changes[1:])
        changes[1:] |= labels[1:] != labels[:-1]
        for start, video in zip(self._bounds, self._videos, strict=False):
            for of_class in video.class_labels.values():
                changes[start + 1 : start + len(of_class)] |= of_class[1:] != of_class[:-1]
        changes[self._bounds[:-1]] = True
        return changes

    def _sorted(self, keep: NDArray[np.bool_]) -> NDArray[np.intp]:
        at = np.flatnonzero(keep)
        return at[ascending(self._scores[at])]

    def _runs(self, at: NDArray[np.intp]) -> Runs:
        return Runs(self._scores[at], self._frames[at], self._owners[at])
