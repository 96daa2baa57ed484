"""From scores a snippet to scores a frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import InputError, VadError


def frame_scores(
    snippet_scores: NDArray[np.float32], step: int, frames: int
) -> NDArray[np.float32]:
    """Give each frame the score of its snippet: snippet i covers frames [i * step, (i + 1) * step).

    Args:
        snippet_scores: (N,) float32, N >= 1.
        step: frames from one snippet's begin to the next one's, >= 1.
        frames: frames of the video, >= 1. Scores are cut there; where the snippets end earlier
            (recipes that drop a short tail), the last score goes on to the last frame.

    Returns:
        (frames,) float32.

    Raises:
        InputError: no snippets, or `step` or `frames` below 1.
        VadError: a score is NaN or infinite.
    """
    if step < 1 or frames < 1:
        raise InputError(f"step {step} and frames {frames} have to be at least 1")
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
    last = len(snippet_scores) - 1
    return snippet_scores[np.minimum(np.arange(frames) // step, last)]
