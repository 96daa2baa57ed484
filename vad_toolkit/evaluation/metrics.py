"""Metrics of anomaly scores, exact, ties included: ROC-AUC, average precision, false-alarm rate.

Definitions are in `DEFINITIONS` and travel with every result. ROC-AUC and average precision are
those of scikit-learn (`roc_auc_score`, `average_precision_score`), which the tests compare to; the
trapezoid area under precision-recall is the number that public code of RTFM, UR-DMU and PEL4VAD
reports as AP. All frames are sorted once; each metric, a class's too, is then one pass over the
sorted frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vad_toolkit.errors import InputError, VadError

FALSE_ALARM_THRESHOLD = 0.5

DEFINITIONS: Mapping[str, str] = {
    "auc": "area under the ROC curve over all frames of all videos",
    "ap": "average precision over all frames of all videos: sum of (R_n - R_{n-1}) P_n, no "
    "interpolation",
    "pr_auc_trapezoid": "area under precision-recall over all frames by the trapezoid rule, from "
    "recall 0, precision 1; what some published code reports as AP; not equal to ap",
    "auc_abnormal": "auc over the frames of abnormal videos only",
    "ap_abnormal": "ap over the frames of abnormal videos only",
    "far_normal": f"share of the frames of normal videos with a score >= {FALSE_ALARM_THRESHOLD}",
    "video_auc": "area under the ROC curve over videos; a video's score is its highest frame score",
    "classes.auc": "auc over the abnormal videos of one class and all normal videos",
    "classes.ap": "ap over the abnormal videos of one class and all normal videos",
    "classes.auc_abnormal": "auc over the abnormal videos of one class only",
    "classes.ap_abnormal": "ap over the abnormal videos of one class only",
    "classes": "a video of several classes counts, with all its events, in each of them",
    "undefined": "a metric is null where one of its two sides has no member; here is why",
}


@dataclass(frozen=True, eq=False)
class ScoredVideo:
    """One video with its frame scores and its ground truth.

    Attributes:
        id: the video's id, which errors name.
        label: 0 normal, 1 abnormal.
        scores: (F,) float32 or float64, higher is more abnormal; F >= 1.
        labels: (F,) 0 or 1, the ground truth of each frame.
        classes: the kinds of anomaly in it; read for abnormal videos only.

    Raises:
        InputError: shapes differ, no frames, labels other than 0 and 1, or abnormal frames in a
            normal video.
        VadError: a score is NaN or infinite.
    """

    id: str
    label: int
    scores: NDArray[np.floating[Any]]
    labels: NDArray[np.uint8]
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.scores.ndim != 1 or self.scores.shape != self.labels.shape:
            raise InputError(
                f"video {self.id!r}: scores have shape {self.scores.shape} and labels "
                f"{self.labels.shape}; both have to be (frames,)"
            )
        if len(self.scores) == 0:
            raise InputError(f"video {self.id!r} has no frames: leave it out")
        _check_scores(self.scores, f"video {self.id!r}")
        _check_labels(self.labels, f"video {self.id!r}")
        if self.label not in (0, 1):
            raise InputError(f"video {self.id!r}: label {self.label!r} has to be 0 or 1")
        if self.label == 0 and self.labels.any():
            raise InputError(f"video {self.id!r} is labelled normal but has abnormal frames")


@dataclass(frozen=True, eq=False)
class Ranking:
    """How many items lie at or above each distinct score, from the highest score down.

    Attributes:
        true_positives: (K,) int64, abnormal items with a score >= the k-th highest distinct score.
        false_positives: (K,) int64, the same for normal items.
    """

    true_positives: NDArray[np.int64]
    false_positives: NDArray[np.int64]

    @property
    def positives(self) -> int:
        """Abnormal items."""
        return int(self.true_positives[-1]) if len(self.true_positives) else 0

    @property
    def negatives(self) -> int:
        """Normal items."""
        return int(self.false_positives[-1]) if len(self.false_positives) else 0

    @property
    def precision(self) -> NDArray[np.float64]:
        """(K,), share of abnormal items among those at or above each score."""
        found = self.true_positives + self.false_positives
        precision: NDArray[np.float64] = self.true_positives / found
        return precision

    def undefined(self, items: str = "frames") -> str | None:
        """Why ROC and precision-recall are not defined, or None where they are."""
        if not self.positives and not self.negatives:
            return f"there are no {items}"
        if not self.positives:
            return f"there are no abnormal {items}"
        if not self.negatives:
            return f"there are no normal {items}"
        return None


@dataclass(frozen=True)
class Counts:
    """What the metrics were taken over."""

    videos: int
    normal_videos: int
    abnormal_videos: int
    frames: int
    normal_video_frames: int
    abnormal_frames: int


@dataclass(frozen=True)
class ClassMetrics:
    """Metrics of one class of anomaly, `classes.*` in `DEFINITIONS`; None where undefined."""

    auc: float | None
    ap: float | None
    auc_abnormal: float | None
    ap_abnormal: float | None
    videos: int
    frames: int
    abnormal_frames: int
    undefined: Mapping[str, str]


@dataclass(frozen=True)
class Metrics:
    """All metrics of a set of videos, as in `DEFINITIONS`; None where undefined, never NaN."""

    auc: float | None
    ap: float | None
    pr_auc_trapezoid: float | None
    auc_abnormal: float | None
    ap_abnormal: float | None
    far_normal: float | None
    video_auc: float | None
    counts: Counts
    classes: Mapping[str, ClassMetrics]
    undefined: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


METRIC_NAMES = (
    "auc",
    "ap",
    "pr_auc_trapezoid",
    "auc_abnormal",
    "ap_abnormal",
    "far_normal",
    "video_auc",
)


def rank(scores: ArrayLike, labels: ArrayLike) -> Ranking:
    """Sort once; everything below is read off the result.

    Args:
        scores: (n,) floats, higher is more abnormal. n = 0 gives an empty ranking.
        labels: (n,) 0 or 1.

    Raises:
        InputError: shapes differ, or labels other than 0 and 1.
        VadError: a score is NaN or infinite.
    """
    values, truth = np.asarray(scores), np.asarray(labels)
    if values.ndim != 1 or values.shape != truth.shape:
        raise InputError(
            f"scores have shape {values.shape} and labels {truth.shape}; both have to be (n,)"
        )
    _check_scores(values, "scores")
    _check_labels(truth, "labels")
    order = _descending(values)
    return _count(values[order], truth[order])


def roc_auc(ranking: Ranking) -> float | None:
    """Area under the ROC curve: ties count half. None where only one side has members."""
    if ranking.undefined():
        return None
    true, false = ranking.true_positives, ranking.false_positives
    area = trapezoid(np.append(0, false), np.append(0, true))
    return area / (ranking.positives * ranking.negatives)


def average_precision(ranking: Ranking) -> float | None:
    """Sum of (R_n - R_{n-1}) P_n over distinct scores. None where only one side has members."""
    if ranking.undefined():
        return None
    gained = np.diff(ranking.true_positives, prepend=0)
    return float(np.sum(gained * ranking.precision) / ranking.positives)


def pr_auc_trapezoid(ranking: Ranking) -> float | None:
    """Area under precision-recall, straight lines between points, from recall 0, precision 1.

    None where only one side has members.
    """
    if ranking.undefined():
        return None
    recall = np.append(0, ranking.true_positives)
    return trapezoid(recall, np.append(1.0, ranking.precision)) / ranking.positives


def trapezoid(x: ArrayLike, y: ArrayLike) -> float:
    """Area under the line through (x, y), x ascending: sum of (x_i - x_{i-1}) (y_i + y_{i-1}) / 2.

    Computed in float64 whatever comes in; exact for integers while the area is below 2**52.

    Raises:
        InputError: not two equal, one-dimensional lengths, or x goes down.
    """
    across, up = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if across.ndim != 1 or across.shape != up.shape:
        raise InputError(f"x has shape {across.shape} and y {up.shape}; both have to be (n,)")
    widths = np.diff(across)
    if (widths < 0).any():
        raise InputError("x goes down: a curve has to be given from left to right")
    return float(np.sum(widths * (up[1:] + up[:-1])) / 2)


def compute_metrics(videos: Sequence[ScoredVideo]) -> Metrics:
    """All metrics of scored videos. The order of the videos does not matter.

    Raises:
        InputError: no videos, or one id twice.
    """
    if not videos:
        raise InputError("no videos to take metrics of")
    seen: set[str] = set()
    for video in videos:
        if video.id in seen:
            raise InputError(f"video {video.id!r} is there twice: each is scored once")
        seen.add(video.id)

    frames = _SortedFrames(videos)
    abnormal = np.array([video.label == 1 for video in videos])
    everything, within = frames.ranking(), frames.ranking(abnormal)
    by_video = rank([video.scores.max() for video in videos], abnormal)
    normal_scores = [video.scores for video in videos if video.label == 0]
    normal_frames = sum(len(scores) for scores in normal_scores)
    alarms = sum(int(np.sum(scores >= FALSE_ALARM_THRESHOLD)) for scores in normal_scores)

    reasons = {
        **dict.fromkeys(("auc", "ap", "pr_auc_trapezoid"), everything.undefined()),
        **dict.fromkeys(("auc_abnormal", "ap_abnormal"), _within_reason(within)),
        "far_normal": None if normal_scores else "there are no normal videos",
        "video_auc": by_video.undefined("videos"),
    }
    return Metrics(
        auc=roc_auc(everything),
        ap=average_precision(everything),
        pr_auc_trapezoid=pr_auc_trapezoid(everything),
        auc_abnormal=roc_auc(within),
        ap_abnormal=average_precision(within),
        far_normal=alarms / normal_frames if normal_scores else None,
        video_auc=roc_auc(by_video),
        counts=Counts(
            videos=len(videos),
            normal_videos=len(normal_scores),
            abnormal_videos=int(abnormal.sum()),
            frames=everything.positives + everything.negatives,
            normal_video_frames=normal_frames,
            abnormal_frames=everything.positives,
        ),
        classes=_class_metrics(videos, frames),
        undefined={name: reason for name, reason in reasons.items() if reason},
    )


def _class_metrics(
    videos: Sequence[ScoredVideo], frames: _SortedFrames
) -> Mapping[str, ClassMetrics]:
    names = sorted({name for video in videos if video.label == 1 for name in video.classes})
    normal = np.array([video.label == 0 for video in videos])
    result = {}
    for name in names:
        members = np.array([video.label == 1 and name in video.classes for video in videos])
        against, within = frames.ranking(members | normal), frames.ranking(members)
        reasons = {
            **dict.fromkeys(("auc", "ap"), against.undefined()),
            **dict.fromkeys(("auc_abnormal", "ap_abnormal"), _within_reason(within)),
        }
        result[name] = ClassMetrics(
            auc=roc_auc(against),
            ap=average_precision(against),
            auc_abnormal=roc_auc(within),
            ap_abnormal=average_precision(within),
            videos=int(members.sum()),
            frames=within.positives + within.negatives,
            abnormal_frames=within.positives,
            undefined={metric: reason for metric, reason in reasons.items() if reason},
        )
    return result


def _within_reason(within: Ranking) -> str | None:
    reason = within.undefined()
    if reason and not within.positives and not within.negatives:
        return "there are no abnormal videos"
    return reason and f"{reason} in abnormal videos"


class _SortedFrames:
    """All frames of all videos from the highest score down, with the video of each.

    A subset of videos keeps that order, so that no subset is sorted again.
    """

    def __init__(self, videos: Sequence[ScoredVideo]) -> None:
        scores = np.concatenate([video.scores for video in videos])
        labels = np.concatenate([video.labels for video in videos])
        owners = np.arange(len(videos), dtype=np.int32)
        order = _descending(scores)
        self._scores = scores[order]
        self._labels = labels[order]
        self._owners = np.repeat(owners, [len(video.scores) for video in videos])[order]

    def ranking(self, chosen: NDArray[np.bool_] | None = None) -> Ranking:
        """Ranking of all frames, or of the videos where `chosen`, (videos,), is true."""
        if chosen is None:
            return _count(self._scores, self._labels)
        keep = np.flatnonzero(chosen[self._owners])
        return _count(self._scores[keep], self._labels[keep])


def _descending(scores: NDArray[Any]) -> NDArray[np.intp]:
    return np.argsort(scores)[::-1]


def _count(scores: NDArray[Any], labels: NDArray[Any]) -> Ranking:
    """Ranking of items that are sorted from the highest score down."""
    if len(scores) == 0:
        nothing = np.zeros(0, dtype=np.int64)
        return Ranking(nothing, nothing)
    last = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)
    true = np.cumsum(labels, dtype=np.int64)[last]
    return Ranking(true, last + 1 - true)


def _check_scores(scores: NDArray[Any], what: str) -> None:
    if scores.size and not np.issubdtype(scores.dtype, np.floating):
        raise InputError(f"{what}: scores are {scores.dtype}; they have to be floats")
    finite = np.isfinite(scores)
    if not finite.all():
        bad = np.flatnonzero(~finite)
        raise VadError(
            f"{what}: {len(bad)} of {len(scores)} scores are NaN or infinite, the first at index "
            f"{bad[0]}; check the features and the checkpoint"
        )


def _check_labels(labels: NDArray[Any], what: str) -> None:
    if labels.size and not ((labels == 0) | (labels == 1)).all():
        raise InputError(f"{what}: labels have to be 0 or 1")
