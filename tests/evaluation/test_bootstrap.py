"""A resample's metrics are those of its videos; intervals are seeded, or say that there is none."""

from __future__ import annotations

import json

import numpy as np
import pytest

from vad_toolkit.errors import InputError
from vad_toolkit.evaluation.bootstrap import Interval, draw_videos, resample_metric
from vad_toolkit.evaluation.metrics import video_metrics
from vad_toolkit.evaluation.pools import ScoredVideo
from vad_toolkit.evaluation.registry import METRICS


def make_videos(normal: int, abnormal: int, seed: int = 0) -> list[ScoredVideo]:
    """Videos with a score a snippet; abnormal frames score somewhat higher."""
    rng = np.random.default_rng(seed)
    videos = []
    for number in range(normal + abnormal):
        frames = int(rng.integers(20, 60))
        label = int(number >= normal)
        truth = np.zeros(frames, np.uint8)
        truth[5 : 5 + 10 * label] = 1
        scores = np.repeat(rng.integers(0, 30, frames), 8)[:frames] / 40 + 0.3 * truth
        videos.append(ScoredVideo(f"v{number:02d}", label, scores.astype(np.float32), truth))
    return videos


def repeated(videos: list[ScoredVideo], times: list[int]) -> list[ScoredVideo]:
    return [
        ScoredVideo(f"{video.id} {copy}", video.label, video.scores, video.labels)
        for video, count in zip(videos, times, strict=True)
        for copy in range(count)
    ]


def test_intervals_are_quantiles_of_the_metrics_of_drawn_videos() -> None:
    videos = make_videos(6, 5)
    metrics = video_metrics(videos, resamples=40, seed=7)
    rng = np.random.default_rng(7)
    labels = np.array([video.label for video in videos])
    drawn = [video_metrics(repeated(videos, draw_videos(labels, rng).tolist())) for _ in range(40)]
    assert metrics.bootstrap is not None
    for name in METRICS:
        low, high = np.quantile([getattr(one, name) for one in drawn], [0.025, 0.975])
        interval = metrics.bootstrap.intervals[name]
        assert interval is not None
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-12)
        assert interval.low < interval.high


def test_videos_are_drawn_within_their_label() -> None:
    labels = np.array([0, 1, 0, 0, 1])
    rng = np.random.default_rng(0)
    draws = np.array([draw_videos(labels, rng) for _ in range(500)])
    assert (draws[:, labels == 0].sum(axis=1) == 3).all()
    assert (draws[:, labels == 1].sum(axis=1) == 2).all()
    assert draws.mean(axis=0) == pytest.approx(np.ones(5), abs=0.15)
    assert draw_videos(np.array([1, 1]), rng).sum() == 2


def test_equal_seeds_give_equal_intervals_in_any_order() -> None:
    videos = make_videos(4, 4)
    first = video_metrics(videos, resamples=30, seed=1)
    assert first == video_metrics(videos[::-1], resamples=30, seed=1)
    assert first != video_metrics(videos, resamples=30, seed=2)
    assert first.auc == video_metrics(videos).auc
    assert video_metrics(videos).bootstrap is None
    assert json.loads(json.dumps(first.to_dict()))["bootstrap"]["confidence"] == 0.95


def test_more_videos_give_narrower_intervals() -> None:
    def width(count: int) -> float:
        made = video_metrics(make_videos(count, count), resamples=200).bootstrap
        interval = made.intervals["auc"] if made else None
        assert isinstance(interval, Interval)
        return interval.high - interval.low

    assert width(60) < 0.7 * width(8)


def test_there_is_no_interval_where_there_is_nothing_to_draw_from() -> None:
    made = video_metrics(make_videos(1, 5), resamples=20).bootstrap
    assert made is not None
    assert {name for name, value in made.intervals.items() if value is None} == {
        "auc",
        "ap",
        "pr_auc_trapezoid",
        "far_normal",
        "far_all",
        "video_auc",
    }
    made = video_metrics(make_videos(5, 0), resamples=20).bootstrap
    assert made is not None
    assert [name for name, value in made.intervals.items() if value] == ["far_normal"]


def test_resamples_without_a_value_are_left_out() -> None:
    videos = make_videos(3, 2)
    zeros = np.zeros(20, np.uint8)
    videos += [ScoredVideo(f"z{i}", 1, np.full(20, 0.4, np.float32), zeros) for i in range(3)]
    made = video_metrics(videos, resamples=200).bootstrap
    assert made is not None
    interval = made.intervals["auc"]
    assert interval is not None
    assert 0 < interval.low <= interval.high <= 1


@pytest.mark.parametrize("resamples", [-1, 1_000_001])
def test_wrong_numbers_are_refused(resamples: int) -> None:
    with pytest.raises(
        InputError, match=f"resamples must be between 1 and 1000000, got {resamples}"
    ):
        video_metrics(make_videos(2, 2), resamples=resamples)
    with pytest.raises(InputError, match="seed must be >= 0, got -1"):
        video_metrics(make_videos(2, 2), resamples=1, seed=-1)


def test_resamples_of_one_metric() -> None:
    videos = make_videos(3, 2)
    times = np.array([[1, 1, 1, 1, 1], [2, 0, 1, 0, 2], [1, 1, 1, 0, 0]])
    values = resample_metric(videos, "auc", times)
    assert values[0] == video_metrics(videos).auc
    assert values[1] == pytest.approx(video_metrics(repeated(videos, [2, 0, 1, 0, 2])).auc)
    assert np.isnan(values[2])
    with pytest.raises(InputError, match="unknown metric 'f1'; available: auc, ap"):
        resample_metric(videos, "f1", times)
