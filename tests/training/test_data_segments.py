from __future__ import annotations

import numpy as np
import pytest

from vad_toolkit.training.data import segment_edges, segment_means


@pytest.mark.parametrize("snippets", [1, 2, 31, 32, 33, 100, 61_032])
def test_edges_are_the_floors_they_say(snippets: int) -> None:
    edges = segment_edges(snippets, 32)
    assert edges.dtype == np.int64
    assert edges.tolist() == [i * snippets // 32 for i in range(33)]


def test_edges_do_not_wrap_at_any_length() -> None:
    edges = segment_edges(2**40, 32)
    assert (np.diff(edges) == 2**35).all()


def test_every_snippet_is_in_one_segment() -> None:
    features = np.arange(100, dtype=np.float32)[:, None, None] * np.ones((1, 2, 3), np.float32)
    means = segment_means(features, 32)
    edges = segment_edges(100, 32)
    assert means.shape == (32, 2, 3)
    for i in range(32):
        np.testing.assert_allclose(means[i], np.arange(edges[i], edges[i + 1]).mean())


def test_a_short_video_repeats_its_snippets() -> None:
    features = np.array([1.0, 2.0, 4.0], np.float16)[:, None, None]
    assert segment_means(features, 6)[:, 0, 0].tolist() == [1, 1, 2, 2, 4, 4]
    assert segment_means(features[:1], 4)[:, 0, 0].tolist() == [1, 1, 1, 1]


def test_sums_of_long_videos_do_not_overflow_half_precision() -> None:
    features = np.full((70_000, 1, 1), 60_000, np.float16)
    assert (segment_means(features, 2) == np.float32(np.float16(60_000))).all()
