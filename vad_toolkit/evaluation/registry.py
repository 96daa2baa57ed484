"""Registry of metrics, and the interface of one.

A metric is one function and one registration. This plugin adds the share of correct frames to every
table, JSON file and spread of `vad eval`:

    from vad_toolkit.evaluation.registry import METRICS, Metric, Sample, Undefined

    def accuracy(sample: Sample) -> float:
        correct = [(video.scores >= 0.5) == video.labels for video in sample.videos]
        return float(np.concatenate(correct).mean())

    METRICS.register("accuracy", Metric(accuracy, "share of frames on the right side of 0.5"))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vad_toolkit.core.registry import Registry
from vad_toolkit.errors import VadError
from vad_toolkit.evaluation.samples import Sample

__all__ = ["METRICS", "Metric", "Sample", "Undefined", "measure"]

MODULE = "vad_toolkit.evaluation.builtin_metrics"


class Undefined(Exception):
    """Raised by a metric that has no value for a sample; the message says why."""


@dataclass(frozen=True)
class Metric:
    """A number that is computed from the frame scores and labels of a test set.

    Attributes:
        compute: Returns the value for a sample; raises `Undefined` if there is none.
        definition: The formula in words, stored with every result.
        labels: The labels (0 normal, 1 abnormal) of the videos that it is computed over. There is
            no confidence interval if one of them has fewer than two videos.
        bootstrap: Whether it has a confidence interval, which takes one call per resample.
    """

    compute: Callable[[Sample], float]
    definition: str
    labels: tuple[int, ...] = (0, 1)
    bootstrap: bool = True


METRICS: Registry[Metric] = Registry(
    "metric",
    {
        "auc": f"{MODULE}:AUC",
        "ap": f"{MODULE}:AP",
        "pr_auc_trapezoid": f"{MODULE}:PR_AUC_TRAPEZOID",
        "auc_abnormal": f"{MODULE}:AUC_ABNORMAL",
        "ap_abnormal": f"{MODULE}:AP_ABNORMAL",
        "far_normal": f"{MODULE}:FAR_NORMAL",
        "far_all": f"{MODULE}:FAR_ALL",
        "video_auc": f"{MODULE}:VIDEO_AUC",
    },
)


def measure(
    sample: Sample, metrics: Mapping[str, Metric]
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return the value of each metric, None if it is undefined, and the reasons of those.

    Raises:
        VadError: If a metric returns NaN or infinity.
    """
    values: dict[str, float | None] = {}
    undefined: dict[str, str] = {}
    for name, metric in metrics.items():
        try:
            value = float(metric.compute(sample))
        except Undefined as reason:
            values[name], undefined[name] = None, str(reason)
            continue
        if not math.isfinite(value):
            raise VadError(
                f"metric {name!r} returned {value}; it must return a finite number or raise "
                "Undefined with the reason"
            )
        values[name] = value
    return values, undefined
