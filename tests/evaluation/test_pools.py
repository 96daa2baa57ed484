"""Scored videos check themselves, and runs of equal frames change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vad_toolkit.errors import InputError, VadError
from vad_toolkit.evaluation.pools import ScoredSet, ScoredVideo


def scored(
    name: str,
    scores: list[float] | NDArray[np.floating],
    labels: list[int] | None = None,
    classes: tuple[str, ...] = (),
    **of_class: list[int],
) -> ScoredVideo:
    """A normal video where no labels are given, else an abnormal one."""
    values = np.asarray(scores)
    truth = np.zeros(len(values), np.uint8) if labels is None else np.asarray(labels, np.uint8)
    known = {name: np.asarray(value, np.uint8) for name, value in of_class.items()}
    return ScoredVideo(name, int(labels is not None), values, truth, classes, known)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_name_the_video(bad: float) -> None:
    with pytest.raises(VadError, match=r"video 'x/y': 1 of 3 scores are NaN or infinite, .* 2"):
        scored("x/y", [0.1, 0.2, bad])


def test_wrong_videos_are_refused_by_name() -> None:
    zeros = np.zeros(2, np.uint8)
    with pytest.raises(InputError, match=r"'v': scores have shape \(3,\) and labels \(2,\)"):
        ScoredVideo("v", 0, np.zeros(3), zeros)
    with pytest.raises(InputError, match="'v' has no frames"):
        ScoredVideo("v", 0, np.zeros(0), np.zeros(0, np.uint8))
    with pytest.raises(InputError, match="'v' is labeled normal but has abnormal frames"):
        ScoredVideo("v", 0, np.zeros(2), zeros + 1)
    with pytest.raises(InputError, match="'v': labels must be 0 or 1"):
        ScoredVideo("v", 1, np.zeros(2), zeros + 2)
    with pytest.raises(InputError, match="'v': label must be 0 or 1, got 2"):
        ScoredVideo("v", 2, np.zeros(2), zeros)
    with pytest.raises(InputError, match="'v': scores must be floats, got int64"):
        ScoredVideo("v", 0, np.zeros(2, np.int64), zeros)


def test_wrong_labels_of_classes_are_refused_by_name() -> None:
    with pytest.raises(
        InputError, match="'v' has labels of 'riot', which is not one of its classes"
    ):
        scored("v", [0.1, 0.2], [0, 1], ("fire",), riot=[0, 1])
    with pytest.raises(
        InputError, match=r"'v': labels of 'fire' have shape \(1,\), expected \(2,\)"
    ):
        scored("v", [0.1, 0.2], [0, 1], ("fire",), fire=[1])
    with pytest.raises(InputError, match="'v': fire: labels must be 0 or 1"):
        scored("v", [0.1, 0.2], [0, 1], ("fire",), fire=[0, 2])
    with pytest.raises(InputError, match="'v': a normal frame is labeled 'fire'"):
        scored("v", [0.1, 0.2], [0, 1], ("fire",), fire=[1, 0])


def test_a_run_has_one_video_one_score_and_one_label() -> None:
    scored_set = ScoredSet(
        [
            scored("a", [0.5, 0.5, 0.5]),
            scored("b", [0.5, 0.1, 0.1, 0.5, 0.5], [0, 0, 1, 1, 1], ("x",), x=[0, 0, 1, 1, 0]),
        ]
    )
    runs = scored_set.frames
    found = zip(runs.scores, runs.owners, runs.abnormal, runs.items, runs.first, strict=True)
    assert sorted(found) == [
        (0.1, 1, False, 1, 4),
        (0.1, 1, True, 1, 5),
        (0.5, 0, False, 3, 0),
        (0.5, 1, False, 1, 3),
        (0.5, 1, True, 1, 6),
        (0.5, 1, True, 1, 7),  # of another class
    ]
    of_class = scored_set.of_class("x")
    assert sorted(of_class.frames.first[of_class.frames.items > 0]) == [0, 3, 4, 5, 6]
    assert of_class.abnormal_video_frames.items.sum() == 4
    assert not scored_set.of_class("none").frames.abnormal.any()
