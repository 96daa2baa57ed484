"""Motions and surroundings are balanced, exactly, and each level hides what it says it hides."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from vad_toolkit.errors import InputError
from vad_toolkit.experiments.context_motion.courses import (
    BLOCK,
    CYCLE,
    LENGTHS,
    NOTHING,
    REACH,
    SNIPPET_FRAMES,
    Level,
    Size,
    VideoPlan,
    course,
    plan_videos,
)

PLANS = plan_videos(Size(train=32, test=16), seed=3)


def test_a_block_holds_every_combination_once_for_either_label() -> None:
    for label in (0, 1):
        block = [p for p in PLANS if p.label == label and p.split == "train" and p.block == 1]
        assert len(block) == BLOCK
        seen = Counter((p.order, p.kinds, p.types) for p in block)
        assert max(seen.values()) == (1 if label else 2)  # normal ones have no event to tell apart
        for kinds in ((0, 0), (0, 1), (1, 0), (1, 1)):
            assert sum(p.kinds == kinds for p in block) == 4
            assert sum(p.types == kinds for p in block) == 4
        assert len({p.lengths for p in block}) == 1


def test_labels_and_events_follow_the_rule() -> None:
    assert Counter((p.split, p.label) for p in PLANS) == {
        ("train", 0): 32,
        ("train", 1): 32,
        ("test", 0): 16,
        ("test", 1): 16,
    }
    for plan in PLANS:
        wrong = [i for i in (0, 1) if plan.kinds[i] != plan.types[i]]
        assert len(wrong) == plan.label
        assert np.array_equal(plan.abnormal, np.isin(plan.activity, wrong))
        assert plan.forbidden == (("ground", "hall")[wrong[0]] if wrong else "")
        assert len(plan.events) == plan.label
        if wrong:
            (start, stop) = plan.events[0]
            frames = np.repeat(plan.abnormal, SNIPPET_FRAMES)
            assert frames[start:stop].all()
            assert frames.sum() == stop - start


def test_a_quarter_of_the_frames_is_abnormal() -> None:
    labels = np.concatenate([p.abnormal for p in PLANS if p.split == "test"])
    assert labels.mean() == 0.25


def test_same_shows_the_activity_at_its_spot_in_every_snippet() -> None:
    for plan in PLANS:
        shown = course(plan, Level.SAME)
        assert np.array_equal(shown.motion, plan.activity)
        assert np.array_equal(shown.spot, plan.activity)


def test_near_has_the_own_spot_beside_every_close_up() -> None:
    for plan in PLANS:
        shown = course(plan, Level.NEAR)
        for t in range(plan.snippets):
            assert (shown.motion[t] == NOTHING) != (shown.spot[t] == NOTHING)
            if shown.spot[t] == NOTHING:
                assert shown.motion[t] == plan.activity[t]
                assert plan.activity[t] in shown.spot[max(0, t - 1) : t + 2]
            else:
                assert shown.spot[t] == plan.activity[t]


def hidden(plan: VideoPlan) -> list[int]:
    """For each wide shot at level far, the snippets between it and the activity of its spot."""
    shown = course(plan, Level.FAR)
    gaps = []
    for t in np.flatnonzero(shown.spot != NOTHING).tolist():
        own = np.flatnonzero(plan.activity == shown.spot[t])
        gaps.append(int(np.abs(own - t).min()) - 1)
    return gaps


def test_far_keeps_motion_and_own_spot_apart() -> None:
    for plan in PLANS:
        shown = course(plan, Level.FAR)
        assert np.all((shown.motion == NOTHING) != (shown.spot == NOTHING))
        assert min(hidden(plan)) >= REACH
        for spot in (0, 1):
            assert np.sum(shown.spot == spot) >= 2


def test_lengths_begin_and_end_with_a_wide_shot() -> None:
    assert all(length % CYCLE == 1 for length in LENGTHS)
    assert min(LENGTHS) > REACH + CYCLE


def test_seeds_differ_and_repeat() -> None:
    size = Size(train=16, test=16)
    assert plan_videos(size, 1) == plan_videos(size, 1)
    drawn = {tuple(p.lengths for p in plan_videos(Size(), seed)) for seed in range(5)}
    assert len(drawn) == 5


@pytest.mark.parametrize("fields", [{"train": 24}, {"test": 0}, {"train": -16}])
def test_sizes_check_themselves(fields: dict[str, int]) -> None:
    with pytest.raises(InputError, match="must be a multiple of 16 videos per label, got"):
        Size(**fields)


def test_a_negative_seed() -> None:
    with pytest.raises(InputError, match="seed must be an integer >= 0, got -1"):
        plan_videos(Size(), -1)
