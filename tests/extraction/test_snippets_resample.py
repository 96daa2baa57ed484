"""Which frames a recipe with a frame rate takes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vad_toolkit.errors import DecodeError, InputError
from vad_toolkit.extraction.snippets import FrameTaker
from vad_toolkit.recipes.recipe import Recipe, load_recipe


def at(rate: float | None) -> Recipe:
    return load_recipe("i3d-rgb-center", {"frame_rate": rate})


@pytest.mark.parametrize(
    ("fps", "rate", "expected"),
    [
        (30.0, 15, [0, 2, 4, 6, 8]),
        (10.0, 25, [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]),
        (25.0, 25, [0, 1, 2, 3]),
        (30000 / 1001, 30, [0, 0, 1, 2, 3]),  # a video of 29.97 frames a second is a frame short
    ],
)
def test_frames_by_hand(fps: float, rate: float, expected: list[int]) -> None:
    assert at(rate).taken_frames(expected[-1] + 1, fps).tolist()[: len(expected)] == expected


@settings(deadline=None)
@given(
    frames=st.integers(1, 300),
    chunk=st.integers(1, 40),
    fps=st.sampled_from((8.0, 25.0, 30000 / 1001, 29.97)),
    rate=st.sampled_from((None, 5, 10.0, 25, 30.0)),
)
def test_chunks_change_nothing(frames: int, chunk: int, fps: float, rate: float | None) -> None:
    recipe = at(rate)
    taker = FrameTaker(recipe, fps)
    taken = torch.cat([taker.take(part) for part in torch.arange(frames).split(chunk)]).tolist()
    assert taken == recipe.taken_frames(frames, fps).tolist()
    assert recipe.snippet_count(frames, fps) == math.ceil(len(taken) / 16)
    snippets = recipe.frame_snippets(recipe.snippet_count(frames, fps), frames, fps)
    assert snippets.shape == (frames,)
    assert (np.diff(snippets) >= 0).all()
    for place, frame in enumerate(taken):  # a frame has the score of the last snippet it is in
        assert snippets[frame] >= place // 16


def test_a_video_without_a_rate_is_refused() -> None:
    with pytest.raises(DecodeError, match="takes 25 frames per second, but the video has no"):
        FrameTaker(at(25), 0.0)
    with pytest.raises(InputError, match="but the video has no"):
        at(25).snippet_count(100)
    assert at(None).snippet_count(100) == 7
