"""The area under the ROC curve of a few scores, such as those of videos.

Frames have `evaluation.ranking`, which also resamples. This is here for the stages below it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def roc_auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Return the share of pairs in which the item with label 1 scores higher, ties counting half.

    Args:
        scores: (N,) numbers.
        labels: (N,) 0 or 1, both of which occur.

    Example:
        >>> roc_auc([0.1, 0.7, 0.7, 0.9], [0, 0, 1, 1])
        0.875
    """
    values, abnormal = np.asarray(scores), np.asarray(labels) == 1
    lower = np.sort(values[~abnormal])
    beaten = np.searchsorted(lower, values[abnormal], "left")
    reached = np.searchsorted(lower, values[abnormal], "right")
    return int(np.sum(beaten + reached)) / (2 * len(lower) * int(abnormal.sum()))
