"""Frame scores cover exactly the video's frames."""

from __future__ import annotations

import numpy as np
import pytest

from vad_toolkit.errors import InputError, VadError
from vad_toolkit.recipes.recipe import Recipe
from vad_toolkit.scoring.frame_scores import frame_scores

RECIPE = Recipe(step=4)
SCORES = np.array([0.1, 0.5, 0.9], np.float32)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (12, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]),
        (9, [0, 0, 0, 0, 1, 1, 1, 1, 2]),  # the looped tail of a last snippet is cut
        (14, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]),  # a dropped tail has the last score
        (2, [0, 0]),
    ],
)
def test_scores_are_repeated_cut_and_padded(frames: int, expected: list[int]) -> None:
    result = frame_scores(SCORES, RECIPE, frames)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, SCORES[expected])


def test_wrong_input_is_refused() -> None:
    with pytest.raises(InputError, match="frames must be an integer >= 1, got 0"):
        frame_scores(SCORES, RECIPE, 0)
    with pytest.raises(InputError, match=r"with at least one, got \(0,\)"):
        frame_scores(SCORES[:0], RECIPE, 5)
    with pytest.raises(InputError, match=r"got \(3, 1\)"):
        frame_scores(SCORES[:, None], RECIPE, 5)
    with pytest.raises(VadError, match="the score of snippet 1 is nan"):
        frame_scores(np.array([0.1, np.nan], np.float32), RECIPE, 5)
