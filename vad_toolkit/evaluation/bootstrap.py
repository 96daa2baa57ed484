"""Confidence intervals by the bootstrap over videos (percentile method; Efron, Tibshirani 1993).

The uncertainty of a test set of a few hundred videos comes mostly from the choice of its videos,
and the frames of one video are highly correlated. So whole videos are drawn with replacement,
normal ones among normal and abnormal ones among abnormal, and every metric is computed again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import InputError
from vad_toolkit.evaluation.pools import Sample, ScoredSet, ScoredVideo
from vad_toolkit.evaluation.registry import METRICS, Metric, measure

RESAMPLES = 1000
MOST_RESAMPLES = 1_000_000
CONFIDENCE = 0.95
LEAST_VIDEOS = 2  # per label: resamples of a single video are all the same


@dataclass(frozen=True)
class Interval:
    """Lower and upper end of a confidence interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Bootstrap:
    """Confidence intervals by metric, and the settings that produced them.

    An interval is None if the metric is undefined, or if a label whose videos it compares has fewer
    than two of them. Resamples in which a metric is undefined do not count for its interval.
    """

    resamples: int
    seed: int
    confidence: float
    intervals: Mapping[str, Interval | None]


def bootstrap(
    scored: ScoredSet, metrics: Mapping[str, Metric], *, resamples: int = RESAMPLES, seed: int = 0
) -> Bootstrap:
    """Return the intervals of metrics over resampled videos, except those with `bootstrap=False`.

    Raises:
        InputError: If `resamples` is not in 1..1,000,000, or the seed is negative.
    """
    if not 1 <= resamples <= MOST_RESAMPLES:
        raise InputError(f"resamples must be between 1 and {MOST_RESAMPLES}, got {resamples}")
    if seed < 0:
        raise InputError(f"seed must be >= 0, got {seed}")
    metrics = {name: metric for name, metric in metrics.items() if metric.bootstrap}
    random = np.random.default_rng(seed)
    found: dict[str, list[float]] = {name: [] for name in metrics}
    for _ in range(resamples):
        values, _ = measure(Sample(scored, draw_videos(scored.labels, random)), metrics)
        for name, value in values.items():
            if value is not None:
                found[name].append(value)
    _, undefined = measure(Sample(scored), metrics)
    few = {label for label in (0, 1) if np.sum(scored.labels == label) < LEAST_VIDEOS}
    intervals = {
        name: None
        if name in undefined or few.intersection(metric.labels) or not found[name]
        else percentile_interval(found[name])
        for name, metric in metrics.items()
    }
    return Bootstrap(resamples, seed, CONFIDENCE, intervals)


def resample_metric(
    videos: Sequence[ScoredVideo], name: str, times: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return a metric of each of B resamples, (B,); NaN if it is undefined there.

    Args:
        videos: V scored videos.
        name: Name of a registered metric.
        times: (B, V), how often each resample contains each video.
    """
    scored, metrics = ScoredSet(videos), {name: METRICS[name]}
    values = [measure(Sample(scored, row), metrics)[0][name] for row in times]
    return np.array(values, np.float64)  # None becomes NaN


def percentile_interval(values: Sequence[float] | NDArray[np.floating[Any]]) -> Interval:
    """Return the central 95 % interval of resampled values, at least one."""
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))


def draw_videos(labels: NDArray[np.int_], random: np.random.Generator) -> NDArray[np.int64]:
    """Return how often each video is drawn, (V,), keeping the number of videos of each label."""
    times = np.zeros(len(labels), np.int64)
    for label in (0, 1):
        members = np.flatnonzero(labels == label)
        if len(members):
            picked = random.integers(len(members), size=len(members))
            times[members] = np.bincount(picked, minlength=len(members))
    return times
