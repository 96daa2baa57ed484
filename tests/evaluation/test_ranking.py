"""Areas under the curves equal scikit-learn's at 12 decimals, ties included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import auc as curve_area
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from vad_toolkit.errors import InputError, VadError
from vad_toolkit.evaluation.ranking import (
    Runs,
    ascending,
    average_precision,
    pr_auc_trapezoid,
    rank,
    roc_auc,
)

EXACT = 1e-12


def sklearn_trapezoid(labels: NDArray[np.uint8], scores: NDArray[np.floating]) -> float:
    precision, recall, _ = precision_recall_curve(labels, scores)
    return float(curve_area(recall, precision))


items = st.lists(
    st.tuples(
        st.integers(0, 1), st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))
    ),
    min_size=2,
    max_size=60,
).filter(lambda pairs: len({label for label, _ in pairs}) == 2)


@given(items, st.sampled_from([np.float32, np.float64]))
def test_equals_scikit_learn(pairs: list[tuple[int, float]], dtype: type) -> None:
    labels = np.array([label for label, _ in pairs], np.uint8)
    scores = np.array([score for _, score in pairs], dtype)
    ranking = rank(scores, labels)
    assert roc_auc(ranking) == pytest.approx(roc_auc_score(labels, scores), abs=EXACT)
    assert average_precision(ranking) == pytest.approx(
        average_precision_score(labels, scores), abs=EXACT
    )
    assert pr_auc_trapezoid(ranking) == pytest.approx(sklearn_trapezoid(labels, scores), abs=EXACT)


@given(items)
def test_order_does_not_matter(pairs: list[tuple[int, float]]) -> None:
    labels, scores = [label for label, _ in pairs], [score for _, score in pairs]
    there, back = rank(scores, labels), rank(scores[::-1], labels[::-1])
    assert roc_auc(there) == roc_auc(back)
    assert average_precision(there) == average_precision(back)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_scikit_learn_on_many_tied_frames(dtype: type) -> None:
    rng = np.random.default_rng(1)
    labels = (rng.random(50_000) < 0.1).astype(np.uint8)
    scores = np.repeat(rng.random(50_000 // 16 + 1), 16)[:50_000].astype(dtype)
    scores += (0.2 * labels).astype(dtype)
    ranking = rank(scores, labels)
    assert roc_auc(ranking) == pytest.approx(roc_auc_score(labels, scores), abs=EXACT)
    assert average_precision(ranking) == pytest.approx(
        average_precision_score(labels, scores), abs=EXACT
    )
    assert pr_auc_trapezoid(ranking) == pytest.approx(sklearn_trapezoid(labels, scores), abs=EXACT)


def test_extremes() -> None:
    labels = [0, 0, 1, 1]
    assert roc_auc(rank([0.1, 0.2, 0.3, 0.4], labels)) == 1.0
    assert roc_auc(rank([0.4, 0.3, 0.2, 0.1], labels)) == 0.0
    constant = rank([0.5] * 4, labels)
    assert roc_auc(constant) == 0.5
    assert average_precision(constant) == 0.5
    assert pr_auc_trapezoid(constant) == 0.75  # why it is not called average precision


@pytest.mark.parametrize(
    ("labels", "reason"),
    [([], "no frames"), ([0, 0], "no abnormal frames"), ([1, 1], "no normal frames")],
)
def test_one_sided_rankings_are_undefined(labels: list[int], reason: str) -> None:
    ranking = rank(np.linspace(0, 1, len(labels)), labels)
    assert roc_auc(ranking) is None
    assert average_precision(ranking) is None
    assert pr_auc_trapezoid(ranking) is None
    assert ranking.undefined() == f"there are {reason}"


@given(items)
def test_the_curves_have_these_areas(pairs: list[tuple[int, float]]) -> None:
    ranking = rank([score for _, score in pairs], [label for label, _ in pairs])
    across, up = ranking.roc_curve()
    assert curve_area(across, up) == pytest.approx(roc_auc(ranking), abs=EXACT)
    assert (across[0], up[0], across[-1], up[-1]) == (0, 0, 1, 1)
    recall, precision = ranking.precision_recall_curve()
    assert curve_area(recall, precision) == pytest.approx(pr_auc_trapezoid(ranking), abs=EXACT)
    assert (recall[0], precision[0], recall[-1]) == (0, 1, 1)


def test_wrong_items_are_refused() -> None:
    with pytest.raises(VadError, match="1 of 2 scores are NaN or infinite, the first at index 1"):
        rank([0.1, float("nan")], [0, 1])
    with pytest.raises(InputError, match=r"shape \(2,\) and labels \(1,\)"):
        rank([0.1, 0.2], [1])
    with pytest.raises(InputError, match="scores: scores must be floats, got int64"):
        rank([1, 2], [0, 1])
    with pytest.raises(InputError, match="labels: labels must be 0 or 1"):
        rank([0.1, 0.2], [0, 2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_of_either_sign_are_sorted(dtype: type) -> None:
    scores = np.random.default_rng(0).standard_normal(1000).astype(dtype)
    scores[::7] = 0.0
    scores[3::7] = -0.0
    scores[:2] = [np.finfo(dtype).max, -np.finfo(dtype).max]
    order = ascending(scores)
    assert sorted(order) == list(range(1000))
    assert np.array_equal(scores[order], np.sort(scores))
    assert len(ascending(scores[:0])) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_and_minus_zero_are_one_score(dtype: type) -> None:
    ranking = rank(np.array([-0.0, 0.0, 0.0, -0.0], dtype), [0, 1, 0, 1])
    assert len(ranking.gained) == 1
    assert roc_auc(ranking) == 0.5


def test_a_video_that_is_there_twice_counts_twice() -> None:
    runs = Runs(
        scores=np.array([0.5, 0.2, 0.5, 0.5, 0.1]),
        abnormal=np.array([1, 1, 1, 0, 0], np.bool_),
        items=np.array([1, 3, 2, 5, 4]),
        owners=np.array([1, 0, 2, 2, 1]),
        first=np.arange(5),
    )
    ranking = runs.ascending().ranking(times=np.array([0, 2, 1]))
    assert ranking.gained.tolist() == [4, 0]  # at 0.5 and at 0.2, where no video is left
    assert ranking.false_positives.tolist() == [5, 5]
    assert ranking.false_positives_above.tolist() == [0, 5]
    assert (ranking.positives, ranking.negatives) == (4, 13)
    scores = [0.5] * 4 + [0.5] * 5 + [0.1] * 8
    truth = [1] * 4 + [0] * 13
    assert roc_auc(ranking) == pytest.approx(roc_auc_score(truth, scores), abs=EXACT)
    assert average_precision(ranking) == pytest.approx(
        average_precision_score(truth, scores), abs=EXACT
    )
    assert pr_auc_trapezoid(ranking) == pytest.approx(
        sklearn_trapezoid(np.array(truth), np.array(scores)), abs=EXACT
    )
