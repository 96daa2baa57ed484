"""The metrics of every evaluation: ROC-AUC, average precision and false-alarm rates.

All are exact, ties included. ROC-AUC and average precision equal scikit-learn's `roc_auc_score` and
`average_precision_score`. The trapezoid area under precision-recall is the number that the public
code of RTFM, UR-DMU and PEL4VAD reports as AP.
"""

from __future__ import annotations

from collections.abc import Callable

from vad_toolkit.evaluation.pools import FALSE_ALARM_THRESHOLD, Sample
from vad_toolkit.evaluation.ranking import Ranking, average_precision, pr_auc_trapezoid, roc_auc
from vad_toolkit.evaluation.registry import Metric, Undefined


def _area(area: Callable[[Ranking], float | None], view: str = "frames") -> Callable[..., float]:
    """Return the computation of an area over one of a sample's rankings."""

    def compute(sample: Sample) -> float:
        ranking = getattr(sample, view)
        value = area(ranking)
        if value is None:
            raise Undefined(ranking.undefined())
        return value

    return compute


def _false_alarm_rate(*, abnormal_videos: bool) -> Callable[[Sample], float]:
    def compute(sample: Sample) -> float:
        alarms, frames = sample.false_alarms(abnormal_videos=abnormal_videos)
        if not frames:
            raise Undefined(f"there are no normal {'frames' if abnormal_videos else 'videos'}")
        return alarms / frames

    return compute


AUC = Metric(_area(roc_auc), "area under the ROC curve over all frames of all videos")
AP = Metric(
    _area(average_precision),
    "average precision over all frames of all videos: sum of (R_n - R_{n-1}) P_n, no interpolation",
)
PR_AUC_TRAPEZOID = Metric(
    _area(pr_auc_trapezoid),
    "area under precision-recall over all frames by the trapezoid rule, from recall 0, precision "
    "1; some published code reports it as AP; not equal to ap",
)
AUC_ABNORMAL = Metric(
    _area(roc_auc, "abnormal_video_frames"), "auc over the frames of abnormal videos only", (1,)
)
AP_ABNORMAL = Metric(
    _area(average_precision, "abnormal_video_frames"),
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
    _area(roc_auc, "peaks"),
    "area under the ROC curve over videos; the score of a video is its highest frame score",
)
