"""The metrics of every evaluation: ROC-AUC, average precision and false-alarm rates.

All are exact, ties included. ROC-AUC and average precision equal scikit-learn's `roc_auc_score` and
`average_precision_score`. The trapezoid area under precision-recall is the number that the public
code of RTFM, UR-DMU and PEL4VAD reports as AP.
"""

from __future__ import annotations

from collections.abc import Callable

from vad_toolkit.evaluation.ranking import (
    Ranking,
    average_precision,
    pr_auc_trapezoid,
    roc_auc,
)
from vad_toolkit.evaluation.registry import Metric, Undefined
from vad_toolkit.evaluation.samples import FALSE_ALARM_THRESHOLD, Sample

Area = Callable[[Ranking], float | None]


def abnormal_video_reason(ranking: Ranking) -> str | None:
    """Return why areas over frames of abnormal videos are undefined, or None if they are not."""
    reason = ranking.undefined()
    if reason and not ranking.positives and not ranking.negatives:
        return "there are no abnormal videos"
    return reason and f"{reason} in abnormal videos"


def _over_frames(area: Area) -> Callable[[Sample], float]:
    return lambda sample: _defined(area(sample.frames), sample.frames.undefined())


def _over_abnormal_videos(area: Area) -> Callable[[Sample], float]:
    def compute(sample: Sample) -> float:
        ranking = sample.abnormal_video_frames
        return _defined(area(ranking), abnormal_video_reason(ranking))

    return compute


def _over_videos(sample: Sample) -> float:
    return _defined(roc_auc(sample.peaks), sample.peaks.undefined("videos"))


def _false_alarm_rate(*, abnormal_videos: bool) -> Callable[[Sample], float]:
    def compute(sample: Sample) -> float:
        alarms, frames = sample.false_alarms(abnormal_videos=abnormal_videos)
        if not frames:
            raise Undefined(f"there are no normal {'frames' if abnormal_videos else 'videos'}")
        return alarms / frames

    return compute


def _defined(value: float | None, reason: str | None) -> float:
    if value is None:
        raise Undefined(reason)
    return value


AUC = Metric(_over_frames(roc_auc), "area under the ROC curve over all frames of all videos")
AP = Metric(
    _over_frames(average_precision),
    "average precision over all frames of all videos: sum of (R_n - R_{n-1}) P_n, no interpolation",
)
PR_AUC_TRAPEZOID = Metric(
    _over_frames(pr_auc_trapezoid),
    "area under precision-recall over all frames by the trapezoid rule, from recall 0, precision "
    "1; some published code reports it as AP; not equal to ap",
)
AUC_ABNORMAL = Metric(
    _over_abnormal_videos(roc_auc), "auc over the frames of abnormal videos only", labels=(1,)
)
AP_ABNORMAL = Metric(
    _over_abnormal_videos(average_precision),
    "ap over the frames of abnormal videos only",
    labels=(1,),
)
FAR_NORMAL = Metric(
    _false_alarm_rate(abnormal_videos=False),
    f"share of the frames of normal videos with a score >= {FALSE_ALARM_THRESHOLD}",
    labels=(0,),
)
FAR_ALL = Metric(
    _false_alarm_rate(abnormal_videos=True),
    "share of the normal frames of all videos, abnormal ones included, with a score >= "
    f"{FALSE_ALARM_THRESHOLD}: the false positive rate",
)
VIDEO_AUC = Metric(
    _over_videos,
    "area under the ROC curve over videos; the score of a video is its highest frame score",
)
