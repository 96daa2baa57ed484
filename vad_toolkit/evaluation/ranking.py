"""Rankings of items by score, and the areas under their ROC and precision-recall curves.

Areas are exact, ties included. Both depend only on how many normal items score higher than each
abnormal item, and how many score the same. Consecutive frames of one video with the same score and
label are a single run; runs are sorted and searched once, and counted again for each resample.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vad_toolkit.errors import InputError, VadError


@dataclass(frozen=True, eq=False)
class Runs:
    """K runs of frames, or of other items.

    Attributes:
        scores: (K,) floats.
        abnormal: (K,) bool, whether the items of a run are abnormal.
        items: (K,) int64, number of items of each run.
        owners: (K,) intp, index of its video.
        first: (K,) intp, index of its first item among the items of all videos.
        name: The items in words, for the reason of an undefined area.
    """

    scores: NDArray[np.floating[Any]]
    abnormal: NDArray[np.bool_]
    items: NDArray[np.int64]
    owners: NDArray[np.intp]
    first: NDArray[np.intp]
    name: str = "frames"

    def select(self, at: NDArray[np.intp], name: str) -> Runs:
        """Return the runs with these indices."""
        scores, abnormal, items = self.scores[at], self.abnormal[at], self.items[at]
        return Runs(scores, abnormal, items, self.owners[at], self.first[at], name)

    def ascending(self) -> Runs:
        """Return the runs in ascending order of score, as `ranking` needs them."""
        return self.select(ascending(self.scores), self.name)

    @cached_property
    def _points(self) -> tuple[NDArray[Any], ...]:
        """The abnormal runs; the first of each distinct score; the runs below, and up to, each."""
        at = np.flatnonzero(self.abnormal)
        distinct: NDArray[Any]
        distinct, first = np.unique(self.scores[at], return_index=True)
        below = np.searchsorted(self.scores, distinct, "left")
        return at, first, below, np.searchsorted(self.scores, distinct, "right")

    def ranking(self, times: NDArray[np.int64] | None = None) -> Ranking:
        """Return the ranking with video i counted `times[i]` times; if None, once each."""
        items = self.items if times is None else self.items * times[self.owners]
        at, first, below, reached = self._points
        gained = np.add.reduceat(items[at], first)[::-1] if len(at) else items[:0]
        counts = np.concatenate([[0], np.cumsum(items)])
        found = np.cumsum(gained)
        return Ranking(
            gained=gained,
            false_positives=(counts[-1] - counts[below])[::-1] - found,
            false_positives_above=(counts[-1] - counts[reached])[::-1] - found + gained,
            negatives=int(counts[-1] - gained.sum()),
            name=self.name,
        )


@dataclass(frozen=True, eq=False)
class Ranking:
    """Counts at each distinct score of an abnormal item, in descending order of score.

    These points determine both areas, and are the corners of both curves.

    Attributes:
        gained: (K,) int64, abnormal items with the k-th highest of these scores.
        false_positives: (K,) int64, normal items with a score >= it.
        false_positives_above: (K,) int64, normal items with a score > it.
        negatives: Number of normal items.
        name: The items in words.
    """

    gained: NDArray[np.int64]
    false_positives: NDArray[np.int64]
    false_positives_above: NDArray[np.int64]
    negatives: int
    name: str = "frames"

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
        return np.asarray(self.true_positives / np.maximum(found, 1))

    @property
    def precision_before(self) -> NDArray[np.float64]:
        """(K,), share of abnormal items among those that score more; 1 if there are none."""
        before = self.true_positives - self.gained
        found = before + self.false_positives_above
        return np.where(found > 0, before / np.maximum(found, 1), 1.0)

    def undefined(self) -> str | None:
        """Return why the areas are undefined, or None if they are defined."""
        if self.positives and self.negatives:
            return None
        if not self.positives and not self.negatives:  # of "frames in abnormal videos": the videos
            return f"there are no {self.name.rpartition(' in ')[2]}"
        return f"there are no {'normal' if self.positives else 'abnormal'} {self.name}"

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


def rank(scores: ArrayLike, labels: ArrayLike) -> Ranking:
    """Rank n items by their scores, higher is more abnormal; labels are 0 or 1, both (n,).

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
    index = np.arange(len(values))
    runs = Runs(values, truth == 1, np.ones(len(values), np.int64), index, index)
    return runs.ascending().ranking()


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
    """Return the area under precision-recall by trapezoids, from recall 0, precision 1, or None."""
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
    first: float, before: NDArray[Any], after: NDArray[Any], last: float
) -> NDArray[np.float64]:
    """Return `before` and `after` alternating, between a first and a last value."""
    return np.concatenate([[first], np.column_stack([before, after]).ravel(), [last]])
