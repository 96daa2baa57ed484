"""Means over seeds, paired differences between rows, and 95 % intervals of both, in two ways.

Seeds are paired: runs of one seed share the validation split, the order of the batches and, where
data are drawn by seed, the data. Test videos are paired too: all runs of a seed are measured on the
same ones. A difference is therefore taken seed by seed, and both intervals are of that difference.

t            over seeds: mean +- t(0.975, S - 1) sd / sqrt(S). It covers what changes from seed to
             seed; with one test set for all seeds, it holds for that test set.
bootstrap    percentiles of resamples that draw seeds and test videos, both with replacement and
             independently, videos within either label, the same for all rows (the pigeonhole
             bootstrap: Owen, Annals of Applied Statistics, 2007). It covers the choice of the test
             videos too. It counts the variance of seed times video more than once, so it errs on
             the wide side. Where each seed has test videos of its own,
             they are drawn apart for each seed.
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

from vad_toolkit.evaluation.bootstrap import CONFIDENCE, Interval
from vad_toolkit.evaluation.pools import FramePools, ScoredVideo
from vad_toolkit.evaluation.ranking import RankedRuns, Runs, average_precision

MetricName = Literal["auc", "ap"]
METRICS: tuple[MetricName, ...] = ("auc", "ap")
RESAMPLES = 2000
LEAST_SEEDS = 2  # one seed says nothing of the spread over seeds

DEFINITIONS: Mapping[str, str] = {
    "mean, std": "over seeds; std is the sample standard deviation (n - 1)",
    "difference": "row minus reference, taken seed by seed, over the seeds that both have",
    "effect": "mean of several such differences, taken seed by seed, over the seeds that all of "
    "their rows have: what a part adds in the mean over the others, there or not (main effect)",
    "t": "95 % interval over seeds: mean +- t(0.975, n - 1) std / sqrt(n); with one test set for "
    "all seeds it holds for that test set",
    "bootstrap": "95 % percentile interval of resamples that draw seeds and, within either label, "
    "test videos, both with replacement, the same for all rows; where each seed has data of its "
    "own, its videos are drawn apart; on the wide side by construction (pigeonhole bootstrap, "
    "Owen 2007)",
    "null": "an interval is null where there are fewer than two seeds",
}

Float = NDArray[np.float64]
Times = NDArray[np.int64]


@dataclass(frozen=True)
class Spread:
    """Values over seeds, or differences of such: mean, standard deviation, intervals."""

    seeds: int
    mean: float
    std: float | None
    t: Interval | None
    bootstrap: Interval | None


@dataclass(frozen=True, eq=False)
class Measured:
    """A run's metric: on its test videos, and on each resample of them, (B,) float64."""

    value: float
    resampled: Float


class VideoDraws:
    """How often each resample holds each test video: the same for all rows of a seed."""

    def __init__(self, *, shared: bool, resamples: int = RESAMPLES, seed: int = 0) -> None:
        """`shared`: all seeds have the same test videos, and so the same draws."""
        self.shared, self.resamples, self.seed = shared, resamples, seed

    def times(self, run_seed: int, labels: NDArray[np.int_]) -> Times:
        """(B, V) for videos of these labels, (V,): of either label as many as there are."""
        stream = (self.seed, 0) if self.shared else (self.seed, 1, run_seed)
        rng = np.random.default_rng(stream)
        times = np.zeros((self.resamples, len(labels)), np.int64)
        for label in (0, 1):
            members = np.flatnonzero(labels == label)
            if len(members):
                even = np.full(len(members), 1 / len(members))
                times[:, members] = rng.multinomial(len(members), even, size=self.resamples)
        return times


def measure(videos: Sequence[ScoredVideo], metric: MetricName, times: Times) -> Measured:
    """Take a frame-level metric of all videos, and of each resample.

    Args:
        videos: V scored videos, some frames abnormal and some not.
        times: (B, V), how often each resample holds each video.

    Raises:
        ValueError: the metric is not defined, since frames of one kind are missing.
    """
    pools = FramePools(videos)
    if not len(pools.positives.frames) or not len(pools.negatives.frames) + len(
        pools.normal_videos.frames
    ):
        raise ValueError("test videos need normal and abnormal frames")
    once = np.ones((1, len(videos)), np.int64)
    every = np.concatenate((once, times))
    values = _auc(pools, every) if metric == "auc" else _ap(pools, every)
    return Measured(float(values[0]), values[1:])


def spread(
    rows: Mapping[int, Measured],
    minus: Mapping[int, Measured] | None = None,
    seed: int = 0,
) -> Spread | None:
    """Mean and intervals over seeds, of a row or of its difference to another.

    Args:
        rows: a row's runs by seed.
        minus: the reference's runs; the seeds count that both have. None: the row by itself.
        seed: of the draws of seeds.

    Returns:
        None where there is no seed.
    """
    shared = sorted(rows if minus is None else rows.keys() & minus.keys())
    if not shared:
        return None
    values = np.array([rows[s].value - (minus[s].value if minus else 0.0) for s in shared])
    resampled = np.array(
        [rows[s].resampled - (minus[s].resampled if minus else 0.0) for s in shared]
    )  # (S, B)
    enough = len(shared) >= LEAST_SEEDS
    std = statistics.stdev(values.tolist()) if enough else None
    mean = float(values.mean())
    return Spread(
        seeds=len(shared),
        mean=mean,
        std=std,
        t=None if std is None else _t_interval(mean, std, len(shared)),
        bootstrap=_bootstrap_interval(resampled, seed) if enough else None,
    )


def main_effect(
    pairs: Sequence[tuple[Mapping[int, Measured], Mapping[int, Measured]]],
) -> Spread | None:
    """Mean and intervals of the mean of several differences, which is taken seed by seed.

    Args:
        pairs: runs by seed of a row and of its reference, one pair or more.

    Returns:
        None where there is no seed that all have.
    """
    shared = set.intersection(*(set(row.keys() & minus.keys()) for row, minus in pairs))
    return spread(
        {
            seed: Measured(
                statistics.fmean(row[seed].value - minus[seed].value for row, minus in pairs),
                np.mean([row[seed].resampled - minus[seed].resampled for row, minus in pairs], 0),
            )
            for seed in shared
        }
    )


def _t_interval(mean: float, std: float, seeds: int) -> Interval:
    half = float(student.ppf((1 + CONFIDENCE) / 2, seeds - 1)) * std / math.sqrt(seeds)
    return Interval(mean - half, mean + half)


def _bootstrap_interval(resampled: Float, seed: int) -> Interval:
    """`resampled`: (S, B), each seed's value in each resample of videos."""
    seeds, resamples = resampled.shape
    rng = np.random.default_rng((seed, 2))
    drawn = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)  # (B, S)
    means = np.einsum("bs,sb->b", drawn, resampled) / seeds
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))


def _auc(pools: FramePools, times: Times) -> Float:
    """ROC-AUC of each resample, from one matrix of pairs.

    won[i, j] counts the pairs of an abnormal frame of video i and a normal frame of video j in
    which the abnormal one has the higher score, ties by half: a resample only weights them.
    """
    videos = times.shape[1]
    positives = pools.positives
    won = np.zeros((videos, videos))
    for pool in (pools.normal_videos, pools.negatives):
        for j in np.unique(pool.owners).tolist():
            mine = pool.chosen(pool.owners == j)
            below = np.concatenate(([0], np.cumsum(mine.frames)))
            left = below[np.searchsorted(mine.scores, positives.scores, "left")]
            right = below[np.searchsorted(mine.scores, positives.scores, "right")]
            pairs = positives.frames * (left + right) / 2
            won[:, j] += np.bincount(positives.owners, pairs, minlength=videos)
    found = np.einsum("bi,ij,bj->b", times, won, times, optimize=True)
    abnormal = times @ _frames(positives, videos)
    normal = times @ (_frames(pools.normal_videos, videos) + _frames(pools.negatives, videos))
    area: Float = found / (abnormal * normal)
    return area


def _ap(pools: FramePools, times: Times) -> Float:
    ranked = RankedRuns(pools.positives, pools.normal_videos, pools.negatives)
    return np.array([average_precision(ranked.ranking(row)) for row in times], np.float64)


def _frames(runs: Runs, videos: int) -> Float:
    return np.bincount(runs.owners, runs.frames, minlength=videos).astype(np.float64)
