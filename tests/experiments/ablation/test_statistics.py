"""Metrics of resamples against those of real copies; intervals against what they are defined as."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from scipy.stats import t as student

from vad_toolkit.errors import InputError
from vad_toolkit.evaluation.pools import ScoredVideo
from vad_toolkit.evaluation.ranking import average_precision, rank, roc_auc
from vad_toolkit.experiments.ablation.statistics import (
    Measured,
    MetricName,
    differences,
    draw_videos,
    measure,
    spread,
)


def scored(seed: int, videos: int = 8, levels: int = 6) -> list[ScoredVideo]:
    """Videos of several lengths with few distinct scores, so that ties abound."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(videos):
        frames = int(rng.integers(5, 30))
        labels = np.zeros(frames, np.uint8)
        if i % 2:
            labels[2 : 2 + int(rng.integers(1, frames - 2))] = 1
        scores = (rng.integers(levels, size=frames) + labels) / levels
        made.append(ScoredVideo(f"v{i}", i % 2, scores.astype(np.float32), labels))
    return made


LABELS = np.array([i % 2 for i in range(8)])


@pytest.mark.parametrize(("metric", "taken"), [("auc", roc_auc), ("ap", average_precision)])
@pytest.mark.parametrize("seed", range(5))
def test_a_resample_is_measured_as_its_copies_are(metric: MetricName, taken, seed: int) -> None:  # type: ignore[no-untyped-def]
    videos = scored(seed)
    times = draw_videos(LABELS, 20, own_seed=seed)
    found = measure(videos, metric, times)
    for row, value in zip([np.ones(8, int), *times], [found.value, *found.resampled], strict=True):
        copies = [video for video, n in zip(videos, row, strict=True) for _ in range(n)]
        wanted = taken(
            rank(
                np.concatenate([video.scores for video in copies]),
                np.concatenate([video.labels for video in copies]),
            )
        )
        assert value == pytest.approx(wanted, abs=1e-12)


def test_videos_without_abnormal_frames_have_no_metric() -> None:
    normal = [video for video in scored(0) if video.label == 0]
    with pytest.raises(InputError, match="auc is undefined; the test needs normal and abnormal"):
        measure(normal, "auc", np.ones((1, 4), np.int64))


def test_draws_keep_the_number_of_either_label() -> None:
    labels = np.array([0] * 5 + [1] * 3)
    times = draw_videos(labels, 50)
    assert times.shape == (50, 8)
    assert (times[:, :5].sum(axis=1) == 5).all()
    assert (times[:, 5:].sum(axis=1) == 3).all()


def test_seeds_share_draws_where_they_share_test_videos() -> None:
    shared, first, second, again = (draw_videos(LABELS, 9, seed) for seed in (None, 0, 1, 1))
    assert not np.array_equal(first, second)
    assert np.array_equal(second, again)
    assert np.array_equal(shared, draw_videos(LABELS, 9))


def flat(value: float, resamples: int = 100) -> Measured:
    return Measured(value, np.full(resamples, value))


def test_mean_std_and_t_are_those_of_the_seeds() -> None:
    values = [0.7, 0.75, 0.72, 0.81]
    found = spread({seed: flat(value) for seed, value in enumerate(values)})
    assert found is not None
    assert found.t is not None
    assert (found.seeds, found.mean) == (4, pytest.approx(statistics.fmean(values)))
    assert found.std == pytest.approx(statistics.stdev(values))
    half = student.ppf(0.975, 3) * statistics.stdev(values) / math.sqrt(4)
    assert (found.t.low, found.t.high) == pytest.approx((found.mean - half, found.mean + half))


def test_differences_are_taken_seed_by_seed() -> None:
    """Seeds that are far apart do not hide a difference that all of them show."""
    reference = {0: flat(0.5), 1: flat(0.9), 2: flat(0.7), 5: flat(0.1)}
    row = {0: flat(0.51), 1: flat(0.91), 2: flat(0.71), 7: flat(0.9)}
    found = spread(differences([(row, reference)]))
    assert found is not None
    assert found.seeds == 3
    assert found.mean == pytest.approx(0.01)
    assert found.std == pytest.approx(0.0)
    assert found.bootstrap is not None
    assert found.bootstrap.low == pytest.approx(0.01)
    assert found.bootstrap.high == pytest.approx(0.01)


def test_a_main_effect_is_the_mean_of_differences_seed_by_seed() -> None:
    alone = {0: flat(0.5), 1: flat(0.6), 2: flat(0.7)}
    with_part = {0: flat(0.53), 1: flat(0.62), 2: flat(0.7), 4: flat(0.9)}
    beside = {0: flat(0.8), 1: flat(0.9), 2: flat(0.9), 4: flat(0.9)}
    beside_with_part = {0: flat(0.79), 1: flat(0.92), 2: flat(0.94)}
    found = spread(differences([(with_part, alone), (beside_with_part, beside)]))
    expected = [0.01, 0.02, 0.02]  # seed 4 is not in all rows
    assert found is not None
    assert (found.seeds, found.mean) == (3, pytest.approx(statistics.fmean(expected)))
    assert found.std == pytest.approx(statistics.stdev(expected))
    assert found.t is not None
    assert found.t.low < found.mean < found.t.high
    assert found.bootstrap is not None
    assert 0.0099 < found.bootstrap.low < found.mean < found.bootstrap.high < 0.0201


def test_pairs_without_a_shared_seed_have_no_difference() -> None:
    pairs = [({0: flat(0.5)}, {0: flat(0.4)}), ({1: flat(0.5)}, {1: flat(0.4)})]
    assert differences(pairs) == {}


def test_a_row_does_not_differ_from_itself() -> None:
    runs = {}
    for seed in range(3):
        times = draw_videos(LABELS, 30)
        runs[seed] = measure(scored(seed), "auc", times)
    found = spread(differences([(runs, runs)]))
    assert found is not None
    assert (found.mean, found.std) == (0.0, 0.0)
    assert found.bootstrap is not None
    assert (found.bootstrap.low, found.bootstrap.high) == (0.0, 0.0)


def test_the_bootstrap_sees_seeds_and_videos() -> None:
    """With equal seeds the videos' spread is left, with equal videos that of the seeds."""
    rng = np.random.default_rng(0)
    videos = rng.normal(0.8, 0.02, size=2000)
    by_videos = spread({seed: Measured(0.8, videos) for seed in range(10)})
    by_seeds = spread(
        {seed: flat(value, 2000) for seed, value in enumerate(rng.normal(0.8, 0.02, 10))}
    )
    assert by_videos is not None
    assert by_seeds is not None
    assert by_videos.bootstrap is not None
    assert by_seeds.bootstrap is not None
    assert by_videos.bootstrap.high - by_videos.bootstrap.low == pytest.approx(0.08, rel=0.1)
    width = by_seeds.bootstrap.high - by_seeds.bootstrap.low
    assert width == pytest.approx(4 * 0.02 / math.sqrt(10), rel=0.5)
    assert by_videos.t is not None
    assert by_videos.t.low == by_videos.t.high  # which knows of seeds only


def test_one_seed_has_no_interval_and_none_no_spread() -> None:
    alone = spread({3: flat(0.7)})
    assert alone is not None
    assert (alone.std, alone.t, alone.bootstrap) == (None, None, None)
    assert spread({}) is None
    assert spread(differences([({0: flat(0.5)}, {1: flat(0.5)})])) is None
