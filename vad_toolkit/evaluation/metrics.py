"""Metrics of anomaly scores, exact, ties included: ROC-AUC, average precision, false-alarm rates.

Definitions are in `DEFINITIONS` and travel with every result. ROC-AUC and average precision are
those of scikit-learn (`roc_auc_score`, `average_precision_score`), which the tests compare to; the
trapezoid area under precision-recall is the number that public code of RTFM, UR-DMU and PEL4VAD
reports as AP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import InputError
from vad_toolkit.evaluation.bootstrap import Bootstrap, bootstrap
from vad_toolkit.evaluation.pools import FramePools, ScoredVideo
from vad_toolkit.evaluation.ranking import (
    RankedRuns,
    Ranking,
    Runs,
    ascending,
    average_precision,
    pr_auc_trapezoid,
    roc_auc,
)

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
    "far_all": "share of the normal frames of all videos, abnormal ones included, with a score >= "
    f"{FALSE_ALARM_THRESHOLD}: the false positive rate",
    "video_auc": "area under the ROC curve over videos; a video's score is its highest frame score",
    "classes.auc": "auc over the abnormal videos of one class and all normal videos",
    "classes.ap": "ap over the abnormal videos of one class and all normal videos",
    "classes.auc_abnormal": "auc over the abnormal videos of one class only",
    "classes.ap_abnormal": "ap over the abnormal videos of one class only",
    "classes": "a video of several classes counts in each of them: where the events of each are "
    "known, with those of that class, frames that are abnormal by other classes alone being left "
    "out; else with all its events",
    "bootstrap": "percentile intervals over resamples of the test videos, drawn with replacement, "
    "normal among normal and abnormal among abnormal; of one trained model, so that nothing of "
    "training's own variance is in them; null where fewer than two videos could be drawn from",
    "undefined": "a metric is null where one of its two sides has no member; here is why",
}

# The labels of the videos that each metric is taken over.
TAKEN_OVER: Mapping[str, tuple[int, ...]] = {
    "auc": (0, 1),
    "ap": (0, 1),
    "pr_auc_trapezoid": (0, 1),
    "auc_abnormal": (1,),
    "ap_abnormal": (1,),
    "far_normal": (0,),
    "far_all": (0, 1),
    "video_auc": (0, 1),
}
METRIC_NAMES = tuple(TAKEN_OVER)


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
    frames: int  # of its videos, without those left out
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
    far_all: float | None
    video_auc: float | None
    counts: Counts
    classes: Mapping[str, ClassMetrics]
    undefined: Mapping[str, str]
    bootstrap: Bootstrap | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def compute_metrics(videos: Sequence[ScoredVideo], *, resamples: int = 0, seed: int = 0) -> Metrics:
    """All metrics of scored videos. The order of the videos does not matter.

    Args:
        resamples: of the bootstrap over videos that gives intervals; none with 0.
        seed: of the bootstrap.

    Raises:
        InputError: no videos, one id twice, or a number of resamples that is not allowed.
    """
    if not videos:
        raise InputError("no videos to take metrics of")
    videos = sorted(videos, key=lambda video: video.id)
    for video, following in pairwise(videos):
        if video.id == following.id:
            raise InputError(f"video {video.id!r} is there twice: each is scored once")
    measures = _Measures(videos)
    labels = np.array([video.label for video in videos])
    intervals = None
    if resamples:
        intervals = bootstrap(measures.take, labels, TAKEN_OVER, resamples=resamples, seed=seed)
    return Metrics(
        **measures.take(),
        counts=measures.counts,
        classes=_class_metrics(videos, measures.pools),
        undefined=measures.undefined,
        bootstrap=intervals,
    )


class _Measures:
    """Everything that the metrics of all videos are read off, sorted once."""

    def __init__(self, videos: Sequence[ScoredVideo]) -> None:
        self.pools = pools = FramePools(videos)
        self._everything = RankedRuns(pools.positives, pools.normal_videos, pools.negatives)
        self._within = RankedRuns(pools.positives, pools.negatives)
        self._by_video = _by_video(videos)
        self._alarms = {
            "normal": _per_video(pools.normal_videos, len(videos)),
            "other": _per_video(pools.negatives, len(videos)),
        }
        whole, within = self._everything.ranking(), self._within.ranking()
        normal_videos = sum(video.label == 0 for video in videos)
        normal_frames = int(pools.normal_videos.frames.sum())
        self.counts = Counts(
            videos=len(videos),
            normal_videos=normal_videos,
            abnormal_videos=len(videos) - normal_videos,
            frames=whole.positives + whole.negatives,
            normal_video_frames=normal_frames,
            abnormal_frames=whole.positives,
        )
        reasons = {
            **dict.fromkeys(("auc", "ap", "pr_auc_trapezoid"), whole.undefined()),
            **dict.fromkeys(("auc_abnormal", "ap_abnormal"), _within_reason(within)),
            "far_normal": None if normal_videos else "there are no normal videos",
            "far_all": None if whole.negatives else "there are no normal frames",
            "video_auc": self._by_video.ranking().undefined("videos"),
        }
        self.undefined = {name: reason for name, reason in reasons.items() if reason}

    def take(self, times: NDArray[np.int64] | None = None) -> dict[str, float | None]:
        """Each metric, where video i is there `times[i]` times; by default once."""
        whole, within = self._everything.ranking(times), self._within.ranking(times)
        (alarms, frames), others = (_total(of, times) for of in self._alarms.values())
        return {
            "auc": roc_auc(whole),
            "ap": average_precision(whole),
            "pr_auc_trapezoid": pr_auc_trapezoid(whole),
            "auc_abnormal": roc_auc(within),
            "ap_abnormal": average_precision(within),
            "far_normal": _share(alarms, frames),
            "far_all": _share(alarms + others[0], frames + others[1]),
            "video_auc": roc_auc(self._by_video.ranking(times)),
        }


def _by_video(videos: Sequence[ScoredVideo]) -> RankedRuns:
    highest = np.array([video.scores.max() for video in videos])
    order = ascending(highest)
    every = Runs(highest[order], np.ones(len(videos), np.int64), order)
    abnormal = np.array([video.label == 1 for video in videos])[order]
    return RankedRuns(every.chosen(abnormal), every.chosen(~abnormal))


def _per_video(normal: Runs, videos: int) -> NDArray[np.int64]:
    """False alarms and frames of each video, (2, V)."""
    alarms = np.where(normal.scores >= FALSE_ALARM_THRESHOLD, normal.frames, 0)
    return np.array(
        [np.bincount(normal.owners, of, minlength=videos) for of in (alarms, normal.frames)]
    ).astype(np.int64)


def _total(per_video: NDArray[np.int64], times: NDArray[np.int64] | None) -> tuple[int, int]:
    alarms, frames = per_video.sum(axis=1) if times is None else per_video @ times
    return int(alarms), int(frames)


def _share(alarms: int, frames: int) -> float | None:
    return alarms / frames if frames else None


def _class_metrics(videos: Sequence[ScoredVideo], pools: FramePools) -> Mapping[str, ClassMetrics]:
    members = [name for video in videos if video.label == 1 for name in set(video.classes)]
    result = {}
    for name in sorted(set(members)):
        positives, negatives = pools.of_class(name)
        against = RankedRuns(positives, negatives, pools.normal_videos).ranking()
        within = RankedRuns(positives, negatives).ranking()
        reasons = {
            **dict.fromkeys(("auc", "ap"), against.undefined()),
            **dict.fromkeys(("auc_abnormal", "ap_abnormal"), _within_reason(within)),
        }
        result[name] = ClassMetrics(
            auc=roc_auc(against),
            ap=average_precision(against),
            auc_abnormal=roc_auc(within),
            ap_abnormal=average_precision(within),
            videos=members.count(name),
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
