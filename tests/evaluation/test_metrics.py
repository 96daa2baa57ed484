"""Metrics equal scikit-learn's at 12 decimals, ties included, and refuse what has no value."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.io import loadmat
from sklearn.metrics import auc as curve_area
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from vad_toolkit.errors import InputError, VadError
from vad_toolkit.evaluation.metrics import (
    DEFINITIONS,
    METRIC_NAMES,
    Metrics,
    ScoredVideo,
    average_precision,
    compute_metrics,
    pr_auc_trapezoid,
    rank,
    roc_auc,
    trapezoid,
)

EXACT = 1e-12


def scored(
    name: str,
    scores: list[float] | NDArray[np.floating],
    labels: list[int] | NDArray[np.uint8] | None = None,
    classes: tuple[str, ...] = (),
) -> ScoredVideo:
    """A normal video where no labels are given, else an abnormal one."""
    values = np.asarray(scores)
    truth = np.zeros(len(values), np.uint8) if labels is None else np.asarray(labels, np.uint8)
    return ScoredVideo(name, int(labels is not None), values, truth, classes)


@pytest.fixture
def videos() -> list[ScoredVideo]:
    """Two normal and three abnormal videos, one of two classes, with ties across videos."""
    rng = np.random.default_rng(0)

    def scores(n: int) -> NDArray[np.float32]:
        return (rng.integers(0, 40, n) / 40).astype(np.float32)

    def labels(n: int, start: int, stop: int) -> NDArray[np.uint8]:
        truth = np.zeros(n, np.uint8)
        truth[start:stop] = 1
        return truth

    return [
        scored("normal/a", scores(300)),
        scored("normal/b", scores(170)),
        scored("fight/a", scores(200), labels(200, 50, 90), ("fight",)),
        scored("both/a", scores(333), labels(333, 0, 100), ("fight", "fire")),
        scored("fire/a", scores(64), labels(64, 60, 64), ("fire",)),
    ]


def joined(videos: list[ScoredVideo]) -> tuple[NDArray[np.uint8], NDArray[np.floating]]:
    return (
        np.concatenate([video.labels for video in videos]),
        np.concatenate([video.scores for video in videos]),
    )


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


def test_all_metrics_equal_scikit_learn(videos: list[ScoredVideo]) -> None:
    metrics = compute_metrics(videos)
    labels, scores = joined(videos)
    assert metrics.auc == pytest.approx(roc_auc_score(labels, scores), abs=EXACT)
    assert metrics.ap == pytest.approx(average_precision_score(labels, scores), abs=EXACT)
    assert metrics.pr_auc_trapezoid == pytest.approx(sklearn_trapezoid(labels, scores), abs=EXACT)

    labels, scores = joined(videos[2:])
    assert metrics.auc_abnormal == pytest.approx(roc_auc_score(labels, scores), abs=EXACT)
    assert metrics.ap_abnormal == pytest.approx(average_precision_score(labels, scores), abs=EXACT)

    _, scores = joined(videos[:2])
    assert metrics.far_normal == pytest.approx(float(np.mean(scores >= 0.5)), abs=EXACT)
    assert metrics.video_auc == pytest.approx(
        roc_auc_score([0, 0, 1, 1, 1], [video.scores.max() for video in videos]), abs=EXACT
    )
    assert metrics.counts.frames == 1067
    assert metrics.counts.normal_video_frames == 470
    assert metrics.counts.abnormal_frames == 144
    assert metrics.undefined == {}


def test_classes_equal_scikit_learn(videos: list[ScoredVideo]) -> None:
    classes = compute_metrics(videos).classes
    assert list(classes) == ["fight", "fire"]
    for name, members in {"fight": videos[2:4], "fire": videos[3:]}.items():
        labels, scores = joined(videos[:2] + members)
        assert classes[name].auc == pytest.approx(roc_auc_score(labels, scores), abs=EXACT)
        assert classes[name].ap == pytest.approx(average_precision_score(labels, scores), abs=EXACT)
        labels, scores = joined(members)
        assert classes[name].auc_abnormal == pytest.approx(roc_auc_score(labels, scores), abs=EXACT)
        assert classes[name].ap_abnormal == pytest.approx(
            average_precision_score(labels, scores), abs=EXACT
        )
        assert classes[name].videos == 2
        assert classes[name].frames == len(scores)
        assert classes[name].abnormal_frames == labels.sum()


def test_order_of_videos_does_not_matter(videos: list[ScoredVideo]) -> None:
    assert compute_metrics(videos) == compute_metrics(videos[::-1])


def test_false_alarm_rate_counts_the_threshold_itself() -> None:
    video = scored("quiet", np.array([0.5, 0.49999997, 0.6, 0.1], np.float32))
    assert compute_metrics([video]).far_normal == 0.5


def test_undefined_metrics_are_none_with_the_reason() -> None:
    metrics = compute_metrics([scored("a", [0.1, 0.2]), scored("b", [0.3])])
    assert metrics.auc is None
    assert metrics.auc_abnormal is None
    assert metrics.video_auc is None
    assert metrics.far_normal == 0.0
    assert metrics.undefined == {
        "auc": "there are no abnormal frames",
        "ap": "there are no abnormal frames",
        "pr_auc_trapezoid": "there are no abnormal frames",
        "auc_abnormal": "there are no abnormal videos",
        "ap_abnormal": "there are no abnormal videos",
        "video_auc": "there are no abnormal videos",
    }
    json.dumps(metrics.to_dict(), allow_nan=False)


def test_a_class_that_is_abnormal_throughout_is_undefined_within() -> None:
    metrics = compute_metrics([scored("n", [0.1, 0.2]), scored("a", [0.3, 0.4], [1, 1], ("riot",))])
    riot = metrics.classes["riot"]
    assert riot.auc == 1.0
    assert riot.auc_abnormal is None
    assert riot.undefined["auc_abnormal"] == "there are no normal frames in abnormal videos"
    assert metrics.undefined["ap_abnormal"] == "there are no normal frames in abnormal videos"


def test_without_normal_videos_there_is_no_false_alarm_rate() -> None:
    metrics = compute_metrics([scored("a", [0.3, 0.4], [0, 1])])
    assert metrics.auc == metrics.auc_abnormal == 1.0
    assert metrics.far_normal is None
    assert metrics.undefined["far_normal"] == "there are no normal videos"
    assert metrics.undefined["video_auc"] == "there are no normal videos"


def test_every_metric_is_defined_in_words() -> None:
    assert set(METRIC_NAMES) <= set(DEFINITIONS)
    assert set(METRIC_NAMES) <= set(Metrics.__dataclass_fields__)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_name_the_video(bad: float) -> None:
    with pytest.raises(VadError, match=r"video 'x/y': 1 of 3 scores are NaN or infinite, .* 2"):
        scored("x/y", [0.1, 0.2, bad])
    with pytest.raises(VadError, match="1 of 2 scores are NaN or infinite"):
        rank([0.1, bad], [0, 1])


def test_wrong_videos_are_refused_by_name() -> None:
    zeros = np.zeros(2, np.uint8)
    with pytest.raises(InputError, match=r"'v': scores have shape \(3,\) and labels \(2,\)"):
        ScoredVideo("v", 0, np.zeros(3), zeros)
    with pytest.raises(InputError, match="'v' has no frames"):
        ScoredVideo("v", 0, np.zeros(0), np.zeros(0, np.uint8))
    with pytest.raises(InputError, match="'v' is labelled normal but has abnormal frames"):
        ScoredVideo("v", 0, np.zeros(2), zeros + 1)
    with pytest.raises(InputError, match="'v': labels have to be 0 or 1"):
        ScoredVideo("v", 1, np.zeros(2), zeros + 2)
    with pytest.raises(InputError, match="'v': label 2 has to be 0 or 1"):
        ScoredVideo("v", 2, np.zeros(2), zeros)
    with pytest.raises(InputError, match="'v': scores are int64; they have to be floats"):
        ScoredVideo("v", 0, np.zeros(2, np.int64), zeros)


def test_wrong_sets_are_refused(videos: list[ScoredVideo]) -> None:
    with pytest.raises(InputError, match="no videos"):
        compute_metrics([])
    with pytest.raises(InputError, match="'fire/a' is there twice"):
        compute_metrics([*videos, videos[-1]])
    with pytest.raises(InputError, match=r"labels \(1,\)"):
        rank([0.1, 0.2], [1])


def test_trapezoid() -> None:
    assert trapezoid([0, 1, 3], [0, 1, 1]) == 2.5
    assert trapezoid(np.array([0, 2], np.uint8), np.array([200, 100], np.uint8)) == 300.0
    with pytest.raises(InputError, match="x goes down"):
        trapezoid([0, 2, 1], [0, 1, 1])
    with pytest.raises(InputError, match=r"x has shape \(2,\) and y \(3,\)"):
        trapezoid([0, 1], [0, 1, 1])


@pytest.mark.parametrize(
    ("name", "area"),
    [
        ("6_C3D_Final_L1L2", 0.7541173),
        ("2_Cei_lui", 0.6551261),
        ("3_CV16_TemporalRegularity", 0.5065640),
        ("1_Binary_Abnormal_Normal", 0.4999305),
    ],
)
def test_published_roc_curves_have_their_published_area(
    reference: Path, name: str, area: float
) -> None:
    curve = loadmat(reference / "roc_sultani" / f"{name}.mat")
    assert trapezoid(curve["X"].ravel(), curve["Y"].ravel()) == pytest.approx(area, abs=5.1e-8)
