"""Scores that look at no features, measured on the frames of a result."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from vad_toolkit.datasets.length_rule import LengthRule
from vad_toolkit.evaluation.controls import (
    CONTROL_METRICS,
    DEFINITIONS,
    measure_controls,
    nearness_to_middle,
)
from vad_toolkit.evaluation.metrics import video_metrics
from vad_toolkit.evaluation.pools import ScoredVideo

SHORTER = LengthRule(shorter=True, video_auc=0.9, videos=10)


def video(id: str, label: int, frames: int, scores: np.ndarray | None = None) -> ScoredVideo:
    """An event in the second quarter of an abnormal video."""
    labels = np.zeros(frames, np.uint8)
    if label:
        labels[frames // 4 : frames // 2] = 1
    return ScoredVideo(id, label, np.zeros(frames) if scores is None else scores, labels)


VIDEOS = [video("a", 0, 90), video("b", 0, 40), video("c", 1, 50), video("d", 1, 30)]


@pytest.mark.parametrize("name", DEFINITIONS)
def test_values_are_those_of_the_definition(name: str) -> None:
    controls = measure_controls(VIDEOS, SHORTER)
    scores = {
        "labels": [np.full(len(v.labels), v.label) for v in VIDEOS],
        "labels x middle": [v.label * nearness_to_middle(len(v.labels)) for v in VIDEOS],
        "middle": [nearness_to_middle(len(v.labels)) for v in VIDEOS],
        "length": [np.full(len(v.labels), -len(v.labels)) for v in VIDEOS],
    }[name]
    truth, values = [v.labels for v in VIDEOS], controls.values[name]
    assert tuple(values) == CONTROL_METRICS
    for kept, suffix in ((slice(0, 4), ""), (slice(2, 4), "_abnormal")):
        y, s = np.concatenate(truth[kept]), np.concatenate(scores[kept])
        assert values[f"auc{suffix}"] == pytest.approx(roc_auc_score(y, s), abs=1e-12)
        assert values[f"ap{suffix}"] == pytest.approx(average_precision_score(y, s), abs=1e-12)


def test_nearness_to_the_middle() -> None:
    np.testing.assert_allclose(nearness_to_middle(4), [0.25, 0.75, 0.75, 0.25])
    np.testing.assert_allclose(nearness_to_middle(1), [1.0])


def test_length_is_learned_from_the_test_videos_if_training_lengths_are_unknown() -> None:
    controls = measure_controls(VIDEOS)
    assert controls.length_from_test
    assert controls.length == LengthRule(shorter=True, video_auc=0.75, videos=4)
    assert not measure_controls(VIDEOS, SHORTER).length_from_test


def test_a_single_label_has_no_length() -> None:
    controls = measure_controls(VIDEOS[:2])
    assert "length" not in controls.values
    assert controls.values["middle"]["auc"] is None
    assert controls.not_exceeded({"auc": None}) == []


def test_a_score_of_the_length_alone_is_recognized() -> None:
    scored = [
        video(v.id, v.label, len(v.labels), np.full(len(v.labels), -len(v.labels) / 100))
        for v in VIDEOS
    ]
    values = video_metrics(scored).values
    (sentence, _) = measure_controls(scored, SHORTER).not_exceeded(values)
    assert sentence.startswith(f"AUC {values['auc']:.4f} does not exceed scores that look at no")
    assert f"length ({values['auc']:.4f})" in sentence


def test_a_better_score_is_not_commented() -> None:
    scored = [video(v.id, v.label, len(v.labels), v.labels.astype(float)) for v in VIDEOS]
    assert measure_controls(scored, SHORTER).not_exceeded(video_metrics(scored).values) == []


def test_a_perfect_score_is_not_commented() -> None:
    """Trimmed clips: the label of the video is the label of each frame."""
    trimmed = [
        ScoredVideo("a", 0, np.full(9, 0.1), np.zeros(9, np.uint8)),
        ScoredVideo("b", 1, np.full(9, 0.2), np.ones(9, np.uint8)),
    ]
    controls = measure_controls(trimmed, SHORTER)
    assert controls.values["labels"]["auc"] == 1.0
    assert controls.not_exceeded({"auc": 1.0, "auc_abnormal": None}) == []
    (sentence,) = controls.not_exceeded({"auc": 0.9, "auc_abnormal": None})
    assert "labels (1.0000)" in sentence


def test_plain_values_state_the_rule() -> None:
    stored = measure_controls(VIDEOS, SHORTER).to_dict()
    assert stored["length"] == {"shorter": True, "video_auc": 0.9, "videos": 10}
    assert stored["definitions"].keys() == stored["values"].keys()
    json.dumps(stored)
