"""What figures are told is what they do, and what is drawn of them."""

from __future__ import annotations

import numpy as np
import pytest

from vad_toolkit.experiments.demo.choreography import DatasetSettings, plan_dataset
from vad_toolkit.experiments.synthetic import people as figures
from vad_toolkit.experiments.synthetic.people import (
    FIRST_MOTIONS,
    GAITS,
    MOTIONS,
    Camera,
    Ground,
    Look,
    Motion,
    Track,
    draw_look,
    limbs,
    simulate,
)

GROUND = Ground(half_width=1.0, near=4.0, far=6.0)
CAMERA = Camera(focal=500.0, height=1.5, center_x=160.0, horizon_y=60.0)
WHITE = np.ones(3, dtype=np.float32)


def course(motions: list[Motion], seed: int = 0) -> tuple[Track, Look]:
    rng = np.random.default_rng(seed)
    look = draw_look(rng)
    return simulate(motions, 15, GROUND, rng), look


@pytest.mark.parametrize("motion", MOTIONS)
def test_each_motion_has_its_pace(motion: Motion) -> None:
    track, _ = course([motion] * 60)
    paces = np.hypot(*np.diff(track.position, axis=0).T) * 15  # body heights a second
    cycles = np.diff(track.phase) * 15 / (2 * np.pi)
    assert np.median(paces) == pytest.approx(GAITS[motion].speed, rel=0.11)
    assert np.median(cycles) == pytest.approx(GAITS[motion].cadence, rel=0.11)


def test_motions_that_came_later_change_no_older_course(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even in a last bit, which could change which limb is drawn in front."""
    told = [Motion.WALK] * 60 + [Motion.RUN] * 60 + [Motion.WAVE] * 60
    now = [course(told, seed)[0] for seed in range(20)]
    monkeypatch.setattr(figures, "MOTIONS", FIRST_MOTIONS)
    monkeypatch.setattr(figures, "GAITS", {motion: GAITS[motion] for motion in FIRST_MOTIONS})
    for seed, track in enumerate(now):
        before = course(told, seed)[0]
        np.testing.assert_array_equal(track.position, before.position)
        np.testing.assert_array_equal(track.heading, before.heading)
        np.testing.assert_array_equal(track.weights[:, : len(FIRST_MOTIONS)], before.weights)


def test_what_is_drawn_fits_the_events() -> None:
    """Pose and pace follow the labels, with the ease of a body at both ends, and not elsewhere."""
    ease = 4  # frames, about twice the time constant
    for plan in plan_dataset(DatasetSettings(train_videos=4, test_videos=8), seed=4):
        wrong = np.zeros(plan.frames, dtype=bool)
        for start, stop in plan.events:
            wrong[start:stop] = True
        odd = Motion.RUN if plan.surrounding == "street" else Motion.WALK
        for motions in plan.motions:
            share = course(list(motions))[0].weights[:, MOTIONS.index(odd)]
            for start, stop in plan.events:
                assert share[start + ease : stop].min() > 0.85
                wrong[stop : stop + ease] = True
            assert share[~wrong].max(initial=0) < 0.15


def test_figures_stay_where_the_centre_crop_sees_them() -> None:
    for seed in range(5):
        track, _ = course([Motion.RUN] * 300, seed)
        x, z = track.position.T
        assert np.abs(x).max() < 1.6 * GROUND.half_width
        assert GROUND.near <= z.min() <= z.max() <= GROUND.far


def test_feet_are_on_the_ground_and_heads_a_body_height_up() -> None:
    track, look = course([Motion.WALK] * 30)
    drawn = limbs(track, look, CAMERA, WHITE)
    rows = np.concatenate((drawn.heads[..., 1], drawn.tails[..., 1]), axis=1)
    height = drawn.feet[:, 1] - rows.min(axis=1)
    assert np.all(np.abs(height / drawn.scale - look.height) < 0.2)
    assert np.all(rows.max(axis=1) < drawn.feet[:, 1] + 0.1 * drawn.scale)


def test_drawing_stays_inside_the_picture() -> None:
    """A figure at the border is cut, one outside leaves no trace, and light tints it."""
    track, look = course([Motion.WALK] * 2)
    image = np.full((256, 320, 3), 128, dtype=np.float32)
    limbs(track, look, CAMERA, WHITE).draw(image, 0)
    assert 0.005 < np.mean(np.abs(image - 128).max(axis=2) > 8) < 0.2

    aside = Track(track.position + np.array((50.0, 0.0)), track.heading, track.phase, track.weights)
    empty = np.full((256, 320, 3), 128, dtype=np.float32)
    limbs(aside, look, CAMERA, WHITE).draw(empty, 0)
    assert np.all(empty == 128)

    dark = np.full((256, 320, 3), 128, dtype=np.float32)
    limbs(track, look, CAMERA, 0.5 * WHITE).draw(dark, 0)
    assert dark.mean() < image.mean()
