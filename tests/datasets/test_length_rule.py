"""The relation of a video's length and its label, as learned from a set of videos."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score

from vad_toolkit.datasets.length_rule import LengthRule, learn_length


def test_it_is_the_better_direction_of_the_auc() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 50).tolist()
    lengths = rng.integers(1, 20, 50).tolist()  # with ties
    area = roc_auc_score(labels, lengths)
    rule = learn_length(lengths, labels)
    assert rule is not None
    assert (rule.shorter, rule.videos) == (area < 0.5, 50)
    assert abs(rule.video_auc - max(area, 1 - area)) < 1e-12


def test_longer_videos_may_be_the_abnormal_ones() -> None:
    assert learn_length([5, 9], [0, 1]) == LengthRule(shorter=False, video_auc=1.0, videos=2)


def test_there_is_none_without_lengths_or_a_label() -> None:
    assert learn_length([5, None], [0, 1]) is None
    assert learn_length([5, 9], [1, 1]) is None
    assert learn_length([], []) is None
