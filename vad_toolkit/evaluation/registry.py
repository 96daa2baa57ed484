"""Registry of metrics, and the interface of one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from vad_toolkit.core.registry import Registry
from vad_toolkit.errors import InputError, VadError
from vad_toolkit.evaluation.pools import Sample

FRAME_AREAS = ("auc", "ap", "pr_auc_trapezoid", "auc_abnormal", "ap_abnormal")
RESERVED = ("values", "counts", "classes", "undefined", "bootstrap")  # other fields of results
BUILTIN = (*FRAME_AREAS, "far_normal", "far_all", "video_auc")  # in the order of tables


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

    Example:
        >>> def highest_score(sample: Sample) -> float:
        ...     return max(float(video.scores.max()) for video in sample.videos)
        >>> metric = Metric(highest_score, "highest score of all frames")
    """

    compute: Callable[[Sample], float]
    definition: str
    labels: tuple[int, ...] = (0, 1)
    bootstrap: bool = True


METRICS: Registry[Metric] = Registry(
    "metric", {name: f"vad_toolkit.evaluation.builtin_metrics:{name.upper()}" for name in BUILTIN}
)


def register_metric(name: str, metric: Metric) -> None:
    """Add a metric, which then appears in all tables, files and means of `vad eval`.

    Args:
        name: Name in tables and JSON.
        metric: How it is computed, and its definition in words.

    Raises:
        InputError: If another module has registered the name, results use it already, or `metric`
            is not a `Metric`.

    Example:
        >>> metric = Metric(lambda sample: len(sample.videos), "number of videos")
        >>> register_metric("videos", metric)  # doctest: +SKIP
    """
    if not isinstance(metric, Metric):
        raise InputError(f"metric {name!r} must be a Metric, got {type(metric).__name__}")
    if name in RESERVED:
        raise InputError(f"a metric cannot be called {name!r}, like a field of the results")
    METRICS.register(name, metric)


def measure(
    sample: Sample, metrics: Mapping[str, Metric]
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return the value of each metric, None if it is undefined, and the reasons of those.

    Raises:
        VadError: If a metric fails, or returns NaN or infinity.
    """
    values: dict[str, float | None] = {}
    undefined: dict[str, str] = {}
    for name, metric in metrics.items():
        try:
            value = float(metric.compute(sample))
        except Undefined as reason:
            values[name], undefined[name] = None, str(reason)
            continue
        except Exception as error:
            raise VadError(f"metric {name!r} failed ({type(error).__name__}: {error})") from error
        if not math.isfinite(value):
            raise VadError(
                f"metric {name!r} returned {value}; it must return a finite number or raise "
                "Undefined with the reason"
            )
        values[name] = value
    return values, undefined
