"""From scores a snippet to scores a frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import InputError, VadError
from vad_toolkit.recipes.recipe import AnyRecipe


def frame_scores(
    snippet_scores: NDArray[np.float32], recipe: AnyRecipe, frames: int, fps: float = 0.0
) -> NDArray[np.float32]:
    """Give each frame the score of its snippet.

    Args:
        snippet_scores: (N,) float32, N >= 1.
        recipe: of the features; says which frames a snippet covers (`frame_snippets`).
        frames: frames of the video, >= 1. Scores are cut there; where the snippets end earlier
            (recipes that drop a short tail), the last score goes on to the last frame.
        fps: of the video; used by recipes that resample.

    Returns:
        (frames,) float32.

    Raises:
        InputError: no snippets, `frames` below 1, or a recipe that resamples and no `fps`.
        VadError: a score is NaN or infinite.
    """
    if frames < 1:
        raise InputError(f"frames {frames} has to be at least 1")
    if snippet_scores.ndim != 1 or len(snippet_scores) == 0:
        raise InputError(
            f"snippet scores have shape {snippet_scores.shape}; they have to be (snippets,), at "
            "least one"
        )
    if not np.isfinite(snippet_scores).all():
        bad = int(np.flatnonzero(~np.isfinite(snippet_scores))[0])
        raise VadError(
            f"the score of snippet {bad} is {snippet_scores[bad]}; check the features and the "
            "checkpoint"
        )
    return snippet_scores[recipe.frame_snippets(len(snippet_scores), frames, fps)]
