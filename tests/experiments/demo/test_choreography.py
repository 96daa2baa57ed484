"""The plan says nothing but by the relation of motion and surroundings."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from vad_toolkit.errors import InputError
from vad_toolkit.experiments.demo.choreography import ABNORMAL, USUAL, DatasetSettings, plan_dataset
from vad_toolkit.experiments.synthetic.people import Motion
from vad_toolkit.experiments.synthetic.scenes import Surrounding


def test_labels_and_surroundings_are_balanced() -> None:
    plans = plan_dataset(DatasetSettings(), seed=3)
    counts = Counter((plan.split, plan.surrounding, plan.label) for plan in plans)
    assert set(counts.values()) == {20, 6}
    assert counts["train", Surrounding.STREET, 1] == counts["train", Surrounding.FIELD, 0] == 20


def test_neither_motion_nor_surrounding_alone_says_anything() -> None:
    """Every schedule is used in both places, with walking and running exchanged."""
    plans = plan_dataset(DatasetSettings(), seed=3)
    swap = {Motion.WALK: Motion.RUN, Motion.RUN: Motion.WALK, Motion.WAVE: Motion.WAVE}
    street = [plan for plan in plans if plan.surrounding is Surrounding.STREET]
    field = [plan for plan in plans if plan.surrounding is Surrounding.FIELD]
    for a, b in zip(street, field, strict=True):
        assert (a.split, a.label) == (b.split, b.label)
        swapped = tuple(tuple(swap[motion] for motion in course) for course in a.motions)
        assert swapped == b.motions
        assert a.events == b.events


def test_events_are_the_frames_with_the_abnormal_motion() -> None:
    for plan in plan_dataset(DatasetSettings(), seed=5):
        wrong = np.zeros(plan.frames, dtype=bool)
        for start, stop in plan.events:
            wrong[start:stop] = True
        for course in plan.motions:
            assert [motion is ABNORMAL[plan.surrounding] for motion in course] == wrong.tolist()
            assert set(course) <= {*USUAL.values(), Motion.WAVE}
        assert len(plan.events) == plan.label
        if plan.label:
            (start, stop) = plan.events[0]
            assert 2 * 15 <= stop - start <= 4 * 15


def test_interludes_are_no_sign_of_an_anomaly() -> None:
    """Normal videos leave their usual motion too."""
    plans = plan_dataset(DatasetSettings(), seed=3)
    normal = [plan for plan in plans if not plan.label]
    assert all(Motion.WAVE in plan.motions[0] for plan in normal)


def test_seeds_differ_and_repeat() -> None:
    settings = DatasetSettings(train_videos=8, test_videos=4)
    assert plan_dataset(settings, 1) == plan_dataset(settings, 1)
    assert plan_dataset(settings, 1) != plan_dataset(settings, 2)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train_videos": 6}, "train_videos must be a multiple of 4, got 6"),
        ({"seconds": 3.0}, "seconds must be >= 9.5, .*, got 3"),
        ({"fps": 0}, "fps must be an integer >= 1, got 0"),
        ({"width": 321}, "width must be even and >= 32 pixels, got 321"),
        ({"crf": 60}, "crf must be between 0 and 51, got 60"),
    ],
)
def test_settings_check_themselves(fields: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DatasetSettings(**fields)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="seed must be an integer >= 0, got -1"):
        plan_dataset(DatasetSettings(), -1)
