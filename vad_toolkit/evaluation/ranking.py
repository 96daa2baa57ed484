"""Rankings of items by score, and the areas under their ROC and precision-recall curves.

Areas are exact, ties included. Both depend only on how many normal items score higher than each
abnormal item, and how many score the same. So positives and negatives are sorted separately, the
negatives in any number of pools, and each distinct score of a positive is looked up in them.
Consecutive frames of one video with the same score and label are a single run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vad_toolkit.errors import InputError, VadError


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs of frames in ascending order of score.

    Attributes:
        scores: (K,) floats.
        frames: (K,) int64, number of frames of each run.
        owners: (K,) intp, index of its video.
    """

    scores: NDArray[np.floating[Any]]
    frames: NDArray[np.int64]
    owners: NDArray[np.intp]

    def chosen(self, keep: NDArray[np.bool_]) -> Runs:
        """Return the runs for which `keep`, (K,), is true."""
        at = np.flatnonzero(keep)
        return Runs(self.scores[at], self.frames[at], self.owners[at])

    def weights(self, times: NDArray[np.int64] | None) -> NDArray[np.int64]:
        """Return the frames of each run, (K,), with video i counted `times[i]` times (or once)."""
        return self.frames if times is None else self.frames * times[self.owners]


@dataclass(frozen=True, eq=False)
class Ranking:
    """Counts at each distinct score of an abnormal item, in descending order of score.

    These points determine both areas, and are the corners of both curves.

    Attributes:
        gained: (K,) int64, abnormal items with the k-th highest of these scores.
        false_positives: (K,) int64, normal items with a score >= it.
        false_positives_above: (K,) int64, normal items with a score > it.
        negatives: Number of normal items.
    """

    gained: NDArray[np.int64]
    false_positives: NDArray[np.int64]
    false_positives_above: NDArray[np.int64]
    negatives: int

    @property
    def positives(self) -> int:
        """Number of abnormal items."""
        return int(self.true_positives[-1]) if len(self.gained) else 0

    @cached_property
    def true_positives(self) -> NDArray[np.int64]:
        """(K,) int64, abnormal items with a score >= the k-th."""
        return np.cumsum(self.gained)

    @property
    def precision(self) -> NDArray[np.float64]:
        """(K,), share of abnormal items among those that score at least the k-th."""
        found = self.true_positives + self.false_positives
        precision: NDArray[np.float64] = self.true_positives / np.maximum(found, 1)
        return precision

    @property
    def precision_before(self) -> NDArray[np.float64]:
        """(K,), share of abnormal items among those that score more; 1 if there are none."""
        before = self.true_positives - self.gained
        found = before + self.false_positives_above
        return np.where(found > 0, before / np.maximum(found, 1), 1.0)

    def undefined(self, items: str = "frames") -> str | None:
        """Return why the areas are undefined, or None if they are defined."""
        if not self.positives and not self.negatives:
            return f"there are no {items}"
        if not self.positives:
            return f"there are no abnormal {items}"
        if not self.negatives:
            return f"there are no normal {items}"
        return None

    def roc_curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the corners of the ROC curve: false and true positive rate, each (2 K + 2,)."""
        true = self.true_positives
        across = _corners(0, self.false_positives_above, self.false_positives, self.negatives)
        up = _corners(0, true - self.gained, true, self.positives)
        return across / self.negatives, up / self.positives

    def precision_recall_curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the corners of the precision-recall curve, each (2 K + 2,)."""
        true, share = self.true_positives, self.positives / (self.positives + self.negatives)
        recall = _corners(0, true - self.gained, true, self.positives)
        return recall / self.positives, _corners(1, self.precision_before, self.precision, share)


class RankedRuns:
    """Positions of positives among pools of negatives: searched once, counted per resample."""

    def __init__(self, positives: Runs, *negatives: Runs) -> None:
        scores = positives.scores
        self._positives = positives
        self._negatives = negatives
        self._starts = np.flatnonzero(np.append(True, scores[1:] != scores[:-1])[: len(scores)])
        distinct = scores[self._starts]
        # For each pool: the number of its runs below each score, and at or below it.
        self._below = [np.searchsorted(pool.scores, distinct, "left") for pool in negatives]
        self._reached = [np.searchsorted(pool.scores, distinct, "right") for pool in negatives]

    def ranking(self, times: NDArray[np.int64] | None = None) -> Ranking:
        """Return the ranking with video i counted `times[i]` times; if None, once each."""
        total = 0
        below = np.zeros(len(self._starts), np.int64)
        reached = np.zeros(len(self._starts), np.int64)
        for pool, left, right in zip(self._negatives, self._below, self._reached, strict=True):
            frames = np.zeros(len(pool.frames) + 1, np.int64)
            np.cumsum(pool.weights(times), out=frames[1:])
            below += frames[left]
            reached += frames[right]
            total += int(frames[-1])
        gained = self._positives.weights(times)
        if len(self._starts) < len(gained):
            gained = np.add.reduceat(gained, self._starts)
        return Ranking(gained[::-1], (total - below)[::-1], (total - reached)[::-1], total)


def rank(scores: ArrayLike, labels: ArrayLike) -> Ranking:
    """Rank items by their scores.

    Args:
        scores: (n,) floats, higher is more abnormal. n = 0 gives an empty ranking.
        labels: (n,) 0 or 1.

    Raises:
        InputError: If shapes differ, or a label is not 0 or 1.
        VadError: If a score is NaN or infinite.
    """
    values, truth = np.asarray(scores), np.asarray(labels)
    if values.ndim != 1 or values.shape != truth.shape:
        raise InputError(
            f"scores have shape {values.shape} and labels {truth.shape}; both must be (n,)"
        )
    check_scores(values, "scores")
    check_labels(truth, "labels")
    sides = []
    for side in (truth == 1, truth == 0):
        ones = np.ones(int(side.sum()), np.int64)
        sides.append(Runs(np.sort(values[side]), ones, np.zeros(len(ones), np.intp)))
    return RankedRuns(*sides).ranking()


def roc_auc(ranking: Ranking) -> float | None:
    """Return the area under the ROC curve, ties counting half; None if it is undefined."""
    if ranking.undefined():
        return None
    # Twice the normal items with a lower score plus those with the same, to sum integers.
    beaten = 2 * ranking.negatives - ranking.false_positives - ranking.false_positives_above
    return int(ranking.gained @ beaten) / (2 * ranking.positives * ranking.negatives)


def average_precision(ranking: Ranking) -> float | None:
    """Return the sum of (R_n - R_{n-1}) P_n over distinct scores; None if it is undefined."""
    if ranking.undefined():
        return None
    return float(np.sum(ranking.gained * ranking.precision) / ranking.positives)


def pr_auc_trapezoid(ranking: Ranking) -> float | None:
    """Return the area under precision-recall by the trapezoid rule, from recall 0, precision 1.

    None if it is undefined.
    """
    if ranking.undefined():
        return None
    heights = ranking.precision + ranking.precision_before
    return float(np.sum(ranking.gained * heights) / (2 * ranking.positives))


def ascending(scores: NDArray[np.floating[Any]]) -> NDArray[np.intp]:
    """Return the order that sorts scores, equal ones in any order; faster than argsort."""
    if scores.dtype != np.float32 or len(scores) >= 2**32:
        return np.argsort(scores)
    bits = np.ascontiguousarray(scores).view(np.uint32)
    sign = np.uint32(1 << 31)
    # The bits of positive floats are in ascending order as integers, those of negative descending.
    key = np.where(bits & sign, ~bits, bits | sign).astype(np.uint64)
    key <<= np.uint64(32)
    key |= np.arange(len(scores), dtype=np.uint64)
    key.sort()
    key &= np.uint64(0xFFFFFFFF)
    return key.astype(np.intp)


def check_scores(scores: NDArray[Any], what: str) -> None:
    """Check that scores are floats (else InputError) and finite (else VadError)."""
    if scores.size and not np.issubdtype(scores.dtype, np.floating):
        raise InputError(f"{what}: scores must be floats, got {scores.dtype}")
    finite = np.isfinite(scores)
    if not finite.all():
        bad = np.flatnonzero(~finite)
        raise VadError(
            f"{what}: {len(bad)} of {len(scores)} scores are NaN or infinite, the first at index "
            f"{bad[0]}; check the features and the checkpoint"
        )


def check_labels(labels: NDArray[Any], what: str) -> None:
    """Check that labels are 0 or 1. Raises InputError."""
    if labels.size and not ((labels == 0) | (labels == 1)).all():
        raise InputError(f"{what}: labels must be 0 or 1")


def _corners(
    first: float, before: Sequence[Any] | NDArray[Any], after: NDArray[Any], last: float
) -> NDArray[np.float64]:
    """Return `before` and `after` alternating, between a first and a last value."""
    return np.concatenate([[first], np.column_stack([before, after]).ravel(), [last]])
