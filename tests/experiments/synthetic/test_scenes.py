"""Scenes differ by surrounding and by seed, and leave room for figures."""

from __future__ import annotations

import numpy as np
import pytest

from vad_toolkit.experiments.synthetic.scenes import Surrounding, draw_scene


@pytest.mark.parametrize("surrounding", Surrounding)
def test_scenes_repeat_by_seed_and_differ_between_seeds(surrounding: Surrounding) -> None:
    first, again, other = (
        draw_scene(surrounding, 64, 80, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first.background.shape == (64, 80, 3)
    assert first.background.dtype == np.float32
    assert 0 <= first.background.min() <= first.background.max() <= 255
    assert np.array_equal(first.background, again.background)
    assert np.abs(first.background - other.background).mean() > 5


@pytest.mark.parametrize("surrounding", Surrounding)
def test_figures_fit_the_centre_of_the_picture(surrounding: Surrounding) -> None:
    """From crown to feet, at the near and the far edge of the ground, and in the middle square."""
    for seed in range(10):
        scene = draw_scene(surrounding, 256, 320, np.random.default_rng(seed))
        for z in (scene.ground.near, scene.ground.far):
            ends = np.array([(x, up, z) for x in (-0.95, 0.95) for up in (0.0, 1.0)])
            ends[:, 0] *= scene.ground.half_width
            pixels, scale = scene.camera.project(ends)
            assert 70 < scale[0] < 130
            assert 0 < pixels[:, 1].min() < pixels[:, 1].max() < 256
            assert 32 < pixels[:, 0].min() < pixels[:, 0].max() < 288


def test_surroundings_look_different() -> None:
    """The ground is green on the field only."""
    for seed in range(5):
        for surrounding in Surrounding:
            scene = draw_scene(surrounding, 64, 80, np.random.default_rng(seed))
            red, green, blue = (scene.background[48:] / scene.light).mean(axis=(0, 1))
            assert (green > 1.15 * max(red, blue)) == (surrounding is Surrounding.FIELD)
