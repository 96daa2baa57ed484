"""The area under the ROC curve of a few scores."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vad_toolkit.core.area import roc_auc


@pytest.mark.parametrize("values", [3, 1000])  # many ties, and few
def test_equals_scikit_learn(values: int) -> None:
    rng = np.random.default_rng(values)
    for _ in range(20):
        labels = np.append(rng.integers(0, 2, 30), [0, 1])
        scores = rng.integers(0, values, 32) / values
        assert roc_auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_the_ends() -> None:
    assert roc_auc([1, 2], [0, 1]) == 1.0
    assert roc_auc([2, 1], [0, 1]) == 0.0
    assert roc_auc([1, 1], [0, 1]) == 0.5
