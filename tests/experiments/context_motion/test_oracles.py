"""What can be reached at each level: the numbers that docs/context-motion.md states."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from vad_toolkit.experiments.context_motion.courses import CYCLE, REACH, Level, Size, plan_videos
from vad_toolkit.experiments.context_motion.oracles import WINDOWS, drawn_auc, informed_auc, reach
from vad_toolkit.experiments.context_motion.vectors import draw_codes, draw_features

Found = dict[Level, dict[str, float]]
TEST = [plan for plan in plan_videos(Size(train=16, test=64), seed=0) if plan.split == "test"]


@pytest.fixture(scope="module")
def found() -> Found:
    return {level: reach(TEST, level, draw_codes(0)) for level in Level}


@pytest.mark.parametrize("level", Level)
def test_motion_alone_and_surroundings_alone_are_at_chance(found: Found, level: Level) -> None:
    """Of the whole video, with all times, and exactly: not only in expectation."""
    assert found[level]["motion alone"] == 0.5
    assert found[level]["surroundings alone"] == 0.5


def test_one_snippet_tells_all_where_it_shows_both(found: Found) -> None:
    assert found[Level.SAME]["one snippet, no noise"] == 1.0
    assert found[Level.SAME]["one snippet"] > 0.999


@pytest.mark.parametrize("level", [Level.NEAR, Level.FAR])
def test_one_snippet_tells_nothing_elsewhere(found: Found, level: Level) -> None:
    assert found[level]["one snippet, no noise"] == 0.5
    assert found[level]["one snippet"] == 0.5


def test_neighbours_are_enough_at_near_only(found: Found) -> None:
    assert found[Level.NEAR]["3 snippets"] > 0.999
    for window in WINDOWS:
        assert found[Level.FAR][window] == 0.5


@pytest.mark.parametrize("level", Level)
def test_the_whole_video_tells_all(found: Found, level: Level) -> None:
    assert found[level]["video"] > 0.999


def test_beyond_the_reach_far_begins_to_show() -> None:
    assert drawn_auc(TEST, Level.FAR, draw_codes(0), REACH + CYCLE) > 0.5


def test_who_is_told_the_truth_has_it_all() -> None:
    """The oracle's own check: it is not at chance because it cannot score."""
    assert informed_auc(TEST, lambda plan, t: int(plan.abnormal[t])) == 1.0
    assert informed_auc(TEST, lambda plan, t: plan.label) == pytest.approx(1 - 1 / 6)


@pytest.mark.parametrize(("level", "least"), [("same", 0.99), ("near", 0.95), ("far", 0.7)])
def test_labels_of_whole_videos_are_enough_to_learn_from(level: str, least: float) -> None:
    """A quadratic machine on averages over time: products of motion and spot, and no time at all.

    Video-level, trained on the training videos' labels: so the default size is no obstacle to a
    head that joins what it sees in the whole video.
    """
    plans, codes = plan_videos(Size(), seed=0), draw_codes(0)
    means = [
        draw_features(plan, Level(level), codes)[:, 0].astype(np.float32).mean(axis=0)
        for plan in plans
    ]
    x, y = np.stack(means), np.array([plan.label for plan in plans])
    training = np.array([plan.split == "train" for plan in plans])
    machine = make_pipeline(
        PCA(16, whiten=True, random_state=0), SVC(kernel="poly", degree=2, coef0=0)
    )
    machine.fit(x[training], y[training])
    assert roc_auc_score(y[~training], machine.decision_function(x[~training])) > least
