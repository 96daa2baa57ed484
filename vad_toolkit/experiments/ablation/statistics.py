"""Means over seeds, paired differences between rows, and two kinds of 95 % intervals.

Runs of one seed share the validation split, the order of the batches, the test videos and, if data
are drawn per seed, the data. Differences are therefore taken seed by seed, and both intervals are
intervals of these differences.

t            mean +- t(0.975, S - 1) sd / sqrt(S) over S seeds. It covers everything that changes
             from seed to seed. With one test set for all seeds it holds for that test set only.
bootstrap    Percentiles of resamples that draw seeds and test videos independently, with
             replacement, videos within each label, the same for all rows (pigeonhole bootstrap:
             Owen, Annals of Applied Statistics, 2007). It also covers the choice of test videos. It
             counts the variance of seed times video more than once, so it is rather too wide. If
             each seed has its own test videos, they are drawn separately for each seed.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from vad_toolkit.errors import InputError
from vad_toolkit.evaluation.bootstrap import (
    CONFIDENCE,
    Interval,
    percentile_interval,
    resample_metric,
)
from vad_toolkit.evaluation.pools import ScoredVideo

MetricName = Literal["auc", "ap"]
METRICS: tuple[MetricName, ...] = ("auc", "ap")
RESAMPLES = 2000
LEAST_SEEDS = 2  # a single seed has no spread over seeds

DEFINITIONS: Mapping[str, str] = {
    "mean, std": "over seeds; std is the sample standard deviation (n - 1)",
    "difference": "row minus reference, taken seed by seed, over the seeds that both have",
    "effect": "mean of several such differences, taken seed by seed, over the seeds that all their "
    "rows have: the average gain from a part, with the other parts on or off (main effect)",
    "t": "95 % interval over seeds: mean +- t(0.975, n - 1) std / sqrt(n); with one test set for "
    "all seeds it holds for that test set only",
    "bootstrap": "95 % percentile interval of resamples that draw seeds and, within each label, "
    "test videos, both with replacement, the same for all rows; if each seed has its own data, its "
    "videos are drawn separately; rather too wide by construction (pigeonhole bootstrap, Owen "
    "2007)",
    "null": "an interval is null if there are fewer than two seeds",
}

Float = NDArray[np.float64]
Times = NDArray[np.int64]


@dataclass(frozen=True)
class Spread:
    """Mean, standard deviation and intervals of values, or of differences, over seeds."""

    seeds: int
    mean: float
    std: float | None
    t: Interval | None
    bootstrap: Interval | None


@dataclass(frozen=True, eq=False)
class Measured:
    """The metric of a run on its test videos, and on each of B resamples of them."""

    value: float
    resampled: Float  # (B,)


def draw_videos(labels: NDArray[np.int_], resamples: int, own_seed: int | None = None) -> Times:
    """Return how often each resample contains each test video, (B, V): the same for all rows.

    Args:
        labels: (V,) 0 or 1. Each resample has as many videos of each label as there are.
        resamples: B.
        own_seed: The seed of the runs if it has its own test videos. If None, all seeds have the
            same test videos, and the same draws.
    """
    rng = np.random.default_rng((0, 0) if own_seed is None else (0, 1, own_seed))
    times = np.zeros((resamples, len(labels)), np.int64)
    for label in (0, 1):
        members = np.flatnonzero(labels == label)
        if len(members):
            even = np.full(len(members), 1 / len(members))
            times[:, members] = rng.multinomial(len(members), even, size=resamples)
    return times


def measure(videos: Sequence[ScoredVideo], metric: MetricName, times: Times) -> Measured:
    """Compute a frame-level metric of V videos and of each resample, given as `times` (B, V).

    Raises:
        InputError: If the metric is undefined because all frames have the same label.
    """
    every = np.concatenate((np.ones((1, len(videos)), np.int64), times))
    values = resample_metric(videos, metric, every)
    if math.isnan(values[0]):
        raise InputError(f"{metric} is undefined; the test needs normal and abnormal frames")
    return Measured(float(values[0]), values[1:])


def differences(
    pairs: Sequence[tuple[Mapping[int, Measured], Mapping[int, Measured]]],
) -> dict[int, Measured]:
    """Return the mean over pairs of row minus reference, for each seed that all of them have.

    Args:
        pairs: Runs by seed of a row and of its reference, at least one pair.
    """
    shared = set.intersection(*(set(row.keys() & minus.keys()) for row, minus in pairs))
    return {
        seed: Measured(
            statistics.fmean(row[seed].value - minus[seed].value for row, minus in pairs),
            np.mean([row[seed].resampled - minus[seed].resampled for row, minus in pairs], 0),
        )
        for seed in sorted(shared)
    }


def spread(runs: Mapping[int, Measured]) -> Spread | None:
    """Return mean and intervals over seeds of a row or of differences, or None without seeds."""
    if not runs:
        return None
    ordered = [runs[seed] for seed in sorted(runs)]
    values = np.array([run.value for run in ordered])
    mean, seeds = float(values.mean()), len(values)
    if seeds < LEAST_SEEDS:
        return Spread(seeds, mean, None, None, None)
    std = statistics.stdev(values.tolist())
    half = float(student.ppf((1 + CONFIDENCE) / 2, seeds - 1)) * std / math.sqrt(seeds)
    resampled = np.stack([run.resampled for run in ordered])  # (S, B)
    rng = np.random.default_rng((0, 2))
    drawn = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resampled.shape[1])  # (B, S)
    means = np.einsum("bs,sb->b", drawn, resampled) / seeds
    return Spread(seeds, mean, std, Interval(mean - half, mean + half), percentile_interval(means))
