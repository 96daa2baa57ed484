"""Metrics of videos equal scikit-learn's at 12 decimals; what has no value says why."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import auc as curve_area
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from vad_toolkit.errors import InputError, VadError
from vad_toolkit.evaluation.metrics import (
    Metrics,
    compute_metrics,
    mean_metrics,
    metric_definitions,
    video_metrics,
)
from vad_toolkit.evaluation.pools import ScoredVideo
from vad_toolkit.evaluation.registry import METRICS, Metric, Sample, Undefined

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


def test_all_metrics_equal_scikit_learn(videos: list[ScoredVideo]) -> None:
    metrics = video_metrics(videos)
    labels, scores = joined(videos)
    assert metrics.auc == pytest.approx(roc_auc_score(labels, scores), abs=EXACT)
    assert metrics.ap == pytest.approx(average_precision_score(labels, scores), abs=EXACT)
    precision, recall, _ = precision_recall_curve(labels, scores)
    assert metrics.pr_auc_trapezoid == pytest.approx(curve_area(recall, precision), abs=EXACT)

    labels, scores = joined(videos[2:])
    assert metrics.auc_abnormal == pytest.approx(roc_auc_score(labels, scores), abs=EXACT)
    assert metrics.ap_abnormal == pytest.approx(average_precision_score(labels, scores), abs=EXACT)

    _, scores = joined(videos[:2])
    assert metrics.far_normal == pytest.approx(float(np.mean(scores >= 0.5)), abs=EXACT)
    labels, scores = joined(videos)
    assert metrics.far_all == pytest.approx(float(np.mean(scores[labels == 0] >= 0.5)), abs=EXACT)
    assert metrics.video_auc == pytest.approx(
        roc_auc_score([0, 0, 1, 1, 1], [video.scores.max() for video in videos]), abs=EXACT
    )
    assert metrics.counts.frames == 1067
    assert metrics.counts.normal_video_frames == 470
    assert metrics.counts.abnormal_frames == 144
    assert metrics.undefined == {}


def test_classes_equal_scikit_learn(videos: list[ScoredVideo]) -> None:
    classes = video_metrics(videos).classes
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
    assert video_metrics(videos) == video_metrics(videos[::-1])


def test_false_alarm_rate_counts_the_threshold_itself() -> None:
    video = scored("quiet", np.array([0.5, 0.49999997, 0.6, 0.1], np.float32))
    assert video_metrics([video]).far_normal == 0.5


def test_undefined_metrics_are_none_with_the_reason() -> None:
    metrics = video_metrics([scored("a", [0.1, 0.2]), scored("b", [0.3])])
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
    metrics = video_metrics([scored("n", [0.1, 0.2]), scored("a", [0.3, 0.4], [1, 1], ("riot",))])
    riot = metrics.classes["riot"]
    assert riot.auc == 1.0
    assert riot.auc_abnormal is None
    assert riot.undefined["auc_abnormal"] == "there are no normal frames in abnormal videos"
    assert metrics.undefined["ap_abnormal"] == "there are no normal frames in abnormal videos"


def test_without_normal_videos_there_is_no_false_alarm_rate() -> None:
    metrics = video_metrics([scored("a", [0.3, 0.4], [0, 1])])
    assert metrics.auc == metrics.auc_abnormal == 1.0
    assert metrics.far_normal is None
    assert metrics.undefined["far_normal"] == "there are no normal videos"
    assert metrics.undefined["video_auc"] == "there are no normal videos"


def test_every_metric_is_defined_in_words() -> None:
    assert set(METRICS) <= set(metric_definitions())


def test_wrong_sets_are_refused(videos: list[ScoredVideo]) -> None:
    with pytest.raises(InputError, match="no videos"):
        video_metrics([])
    with pytest.raises(InputError, match="'fire/a' occurs twice"):
        video_metrics([*videos, videos[-1]])


def random_videos(rng: np.random.Generator) -> list[ScoredVideo]:
    """One to six videos with few distinct scores; some sets have one label, some one class."""
    kinds = rng.choice(["both", "normal", "abnormal"], p=[0.8, 0.1, 0.1])
    levels, videos = int(rng.integers(1, 30)), []
    for number in range(int(rng.integers(1, 7))):
        frames = int(rng.integers(1, 80))
        scores = (rng.integers(0, levels, frames) / levels).astype(rng.choice(["f4", "f8"]))
        if kinds == "normal" or (kinds == "both" and rng.random() < 0.5):
            videos.append(scored(f"v{number}", scores))
        else:
            truth = (rng.random(frames) < rng.choice([0.0, 0.3, 1.0])).astype(np.uint8)
            videos.append(scored(f"v{number}", scores, truth, (f"c{number % 2}",)))
    return videos


def expected(function: Callable[..., float], videos: list[ScoredVideo]) -> float | None:
    labels, scores = joined(videos) if videos else (np.zeros(0), np.zeros(0))
    return None if len(set(labels.tolist())) < 2 else float(function(labels, scores))


def test_a_thousand_random_sets_equal_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    undefined = 0
    for _ in range(1000):
        videos = random_videos(rng)
        metrics = video_metrics(videos)
        abnormal = [video for video in videos if video.label == 1]
        wanted = {
            "auc": expected(roc_auc_score, videos),
            "ap": expected(average_precision_score, videos),
            "auc_abnormal": expected(roc_auc_score, abnormal),
            "ap_abnormal": expected(average_precision_score, abnormal),
        }
        undefined += wanted["auc"] is None
        for name, value in wanted.items():
            assert getattr(metrics, name) == (
                None if value is None else pytest.approx(value, abs=EXACT)
            )
            assert (name in metrics.undefined) == (value is None)
    assert 100 < undefined < 500


def test_frames_of_other_classes_are_left_out_where_events_of_each_are_known() -> None:
    rng = np.random.default_rng(3)
    scores = (rng.integers(0, 20, 100) / 20).astype(np.float32)
    truth, fight, fire = np.zeros((3, 100), np.uint8)
    fight[10:40] = 1
    fire[30:60] = 1
    truth[10:60] = 1
    normal = scored("n", (rng.integers(0, 20, 50) / 20).astype(np.float32))
    known = ScoredVideo("both", 1, scores, truth, ("fight", "fire"), {"fight": fight, "fire": fire})
    single = scored("one", scores[::-1].copy(), truth, ("fight",))
    classes = video_metrics([normal, known, single]).classes
    for name, of_class, more in (("fight", fight, [single]), ("fire", fire, [])):
        keep = (truth == 0) | (of_class == 1)
        labels, frames = joined([normal, scored("kept", scores[keep], of_class[keep]), *more])
        assert classes[name].auc == pytest.approx(roc_auc_score(labels, frames), abs=EXACT)
        assert classes[name].ap == pytest.approx(average_precision_score(labels, frames), abs=EXACT)
        assert classes[name].auc_abnormal == pytest.approx(
            roc_auc_score(labels[50:], frames[50:]), abs=EXACT
        )
        assert (classes[name].frames, classes[name].abnormal_frames) == (
            len(labels) - 50,
            labels.sum(),
        )
    # With one class known, or none, the other ones have all events.
    half = ScoredVideo("both", 1, scores, truth, ("fight", "fire"), {"fight": fight})
    classes = video_metrics([normal, half]).classes
    assert (classes["fight"].frames, classes["fight"].abnormal_frames) == (80, 30)
    assert (classes["fire"].frames, classes["fire"].abnormal_frames) == (100, 50)


def test_both_false_alarm_rates() -> None:
    normal = scored("n", [0.5, 0.1, 0.2, 0.6])
    abnormal = scored("a", [0.7, 0.4, 0.9, 0.8], [0, 0, 1, 0])
    metrics = video_metrics([normal, abnormal])
    assert metrics.far_normal == 2 / 4
    assert metrics.far_all == 4 / 7
    throughout = video_metrics([scored("a", [0.7, 0.4], [1, 1])])
    assert throughout.far_all is None
    assert throughout.undefined["far_all"] == "there are no normal frames"


def test_plain_arrays_of_one_video() -> None:
    metrics = compute_metrics([0.1, 0.7, 0.9, 0.4], [0, 0, 1, 1])
    assert metrics.auc == 0.75
    assert metrics.counts.videos == metrics.counts.abnormal_videos == 1
    assert metrics.undefined["far_normal"] == "there are no normal videos"
    assert compute_metrics(np.array([0.6, 0.1]), np.zeros(2)).far_normal == 0.5


def test_plain_arrays_by_video_equal_scored_videos(videos: list[ScoredVideo]) -> None:
    scores = {video.id: video.scores for video in videos}
    labels = {video.id: video.labels for video in videos}
    classes = {video.id: video.classes for video in videos}
    expected = video_metrics(videos, resamples=20)
    assert compute_metrics(scores, labels, classes=classes, resamples=20) == expected
    assert compute_metrics(scores, labels).classes == {}
    one = {video.id: video.label for video in videos}
    classes["fire/a"] = "fire"
    assert compute_metrics(scores, labels, video_labels=one, classes=classes) == video_metrics(
        videos
    )


def test_plain_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="both be arrays, or both be mappings"):
        compute_metrics({"a": [0.1]}, [0])
    with pytest.raises(InputError, match="video 'b' has labels but no scores; give both"):
        compute_metrics({"a": [0.1]}, {"a": [0], "b": [1]})
    with pytest.raises(InputError, match=r"scores have shape \(2,\) and labels \(1,\)"):
        compute_metrics([0.1, 0.2], [0])
    with pytest.raises(InputError, match="'a': label must be 0 or 1, got -1"):
        compute_metrics({"a": [0.1]}, {"a": [0]}, video_labels={})
    with pytest.raises(VadError, match="scores are NaN or infinite"):
        compute_metrics([float("nan")], [0])


def test_every_metric_is_an_attribute(videos: list[ScoredVideo]) -> None:
    metrics = video_metrics(videos)
    assert metrics.auc == metrics.values["auc"]
    assert {"auc", "video_auc", "counts"} <= set(dir(metrics))
    assert copy.copy(metrics) == pickle.loads(pickle.dumps(metrics)) == metrics
    with pytest.raises(AttributeError, match="no metric 'acu'; available: auc, ap"):
        _ = metrics.acu


def test_means_over_seeds() -> None:
    def metrics(*scores: float) -> Metrics:
        return video_metrics(
            [scored("n", [0.2, 0.6]), scored("a", list(scores), [0, 1], ("riot",))]
        )

    mean = mean_metrics([metrics(0.1, 0.7), metrics(0.7, 0.1)])
    assert mean.auc == 0.5
    assert mean.classes["riot"].auc_abnormal == 0.5
    assert mean.counts.frames == 4
    undefined = mean_metrics([video_metrics([scored("n", [0.2])])] * 2)
    assert (undefined.auc, undefined.far_normal) == (None, 0.0)


@pytest.fixture
def accuracy() -> Iterator[None]:
    """A metric of a plugin: the share of frames on the right side of 0.5."""

    def compute(sample: Sample) -> float:
        if not any(video.label for video in sample.videos):
            raise Undefined("there are no abnormal videos")
        hits = [(video.scores >= 0.5) == video.labels for video in sample.videos]
        return float(np.concatenate(hits).mean())

    METRICS.register("accuracy", Metric(compute, "share of frames on the right side of 0.5"))
    yield
    METRICS._items.pop("accuracy")


@pytest.mark.usefixtures("accuracy")
def test_a_registered_metric_is_computed_with_the_others() -> None:
    videos = [scored(f"n{i}", [0.2, 0.6]) for i in range(3)]
    videos += [scored(f"a{i}", [0.1, 0.7 - 0.3 * i], [0, 1]) for i in range(2)]
    metrics = video_metrics(videos, resamples=20)
    assert metrics.accuracy == 0.6
    stored = metrics.to_dict()
    assert stored["accuracy"] == 0.6
    interval = stored["bootstrap"]["intervals"]["accuracy"]
    assert interval["low"] < interval["high"]
    assert metric_definitions()["accuracy"] == "share of frames on the right side of 0.5"
    assert mean_metrics([metrics, metrics]).accuracy == 0.6
    normal = video_metrics(videos[:2])
    assert (normal.accuracy, normal.undefined["accuracy"]) == (None, "there are no abnormal videos")


def test_a_metric_must_return_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    nan = Metric(lambda sample: float("nan"), "never a number")
    monkeypatch.setitem(METRICS._items, "bad", nan)
    with pytest.raises(VadError, match="metric 'bad' returned nan; it must return a finite number"):
        video_metrics([scored("n", [0.2])])


def test_a_metric_may_stay_out_of_the_bootstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    slow = Metric(
        lambda sample: float(len(calls) + bool(calls.append(1))), "calls", bootstrap=False
    )
    monkeypatch.setitem(METRICS._items, "slow", slow)
    metrics = video_metrics([scored("n", [0.2]), scored("m", [0.2])], resamples=5)
    assert len(calls) == 1
    assert metrics.bootstrap is not None
    assert "slow" not in metrics.bootstrap.intervals
