"""Confidence intervals by the bootstrap over videos (percentile method; Efron, Tibshirani 1993).

What a test set of 290 videos leaves open is mostly which videos happened to be in it, and frames of
one video are anything but independent. So videos are drawn, with replacement and with all their
frames, normal ones among normal and abnormal ones among abnormal, and every metric is taken again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import InputError

RESAMPLES = 1000
MOST_RESAMPLES = 1_000_000
CONFIDENCE = 0.95
LEAST_VIDEOS = 2  # of a label; one video drawn from one says nothing

Values = Mapping[str, float | None]


@dataclass(frozen=True)
class Interval:
    """A metric's interval, lower and upper end."""

    low: float
    high: float


@dataclass(frozen=True)
class Bootstrap:
    """Intervals by metric, and how they were made.

    An interval is None where the metric is, or where one of the labels whose videos it compares has
    fewer than two of them. Resamples in which a metric is undefined are left out of its interval.
    """

    resamples: int
    seed: int
    confidence: float
    intervals: Mapping[str, Interval | None]


def bootstrap(
    measure: Callable[[NDArray[np.int64] | None], Values],
    labels: NDArray[np.int_],
    drawn: Mapping[str, tuple[int, ...]],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Bootstrap:
    """Take all metrics of resampled videos.

    Args:
        measure: gives each metric, where video i is there `times[i]` times; (V,) int64, or None
            for once each.
        labels: (V,) 0 or 1, of the videos.
        drawn: for each metric, the labels of the videos that it is taken over.
        resamples: at least 1.
        seed: at least 0; the same one draws the same videos.

    Raises:
        InputError: a number out of range.
    """
    if not 1 <= resamples <= MOST_RESAMPLES:
        raise InputError(f"bootstrap {resamples}: has to be 1 to {MOST_RESAMPLES} resamples")
    if seed < 0:
        raise InputError(f"seed {seed}: has to be 0 or more")
    random = np.random.default_rng(seed)
    found: dict[str, list[float]] = {name: [] for name in drawn}
    for _ in range(resamples):
        for name, value in measure(draw_videos(labels, random)).items():
            if value is not None:
                found[name].append(value)
    whole = measure(None)
    enough = {label: int(np.sum(labels == label)) >= LEAST_VIDEOS for label in (0, 1)}
    return Bootstrap(
        resamples=resamples,
        seed=seed,
        confidence=CONFIDENCE,
        intervals={
            name: _interval(values)
            if whole[name] is not None and all(enough[label] for label in drawn[name])
            else None
            for name, values in found.items()
        },
    )


def draw_videos(labels: NDArray[np.int_], random: np.random.Generator) -> NDArray[np.int64]:
    """How often each video is drawn, (V,): of either label as many as there are."""
    times = np.zeros(len(labels), np.int64)
    for label in (0, 1):
        members = np.flatnonzero(labels == label)
        if len(members):
            picked = random.integers(len(members), size=len(members))
            times[members] = np.bincount(picked, minlength=len(members))
    return times


def _interval(values: list[float]) -> Interval | None:
    if not values:
        return None
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))
