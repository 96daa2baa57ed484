"""Frame scores of a video: from its features through a checkpoint to one score per frame."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from vad_toolkit.errors import InputError, VadError
from vad_toolkit.recipes.recipe import AnyRecipe
from vad_toolkit.scoring.snippet_scores import Features, score_snippets
from vad_toolkit.training.checkpoint import Checkpoint


def score_video(
    checkpoint: Checkpoint,
    features: Features,
    frames: int,
    fps: float,
    device: torch.device | str = "cpu",
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Score the snippets of a video and give each frame the score of its snippet.

    Args:
        features: (N, C, D) of the modality that the checkpoint was trained on.
        frames: Number of frames to score, >= 1.
        fps: Frames per second; only for recipes that resample.

    Returns:
        Scores per snippet, (N,) float32, and per frame, (frames,) float32.

    Raises:
        InputError: If the features do not fit the model, or are not finite.
        VadError: If a score is NaN or infinite.
    """
    scores = score_snippets(checkpoint.model, features, device)
    return scores, frame_scores(scores, checkpoint.recipe, frames, fps)


def frame_scores(
    snippet_scores: NDArray[np.float32], recipe: AnyRecipe, frames: int, fps: float = 0.0
) -> NDArray[np.float32]:
    """Give each frame the score of its snippet.

    Args:
        snippet_scores: (N,) float32, N >= 1.
        recipe: The recipe of the features, which maps frames to snippets (`frame_snippets`).
        frames: Number of frames of the video, >= 1. Scores beyond it are cut. If the snippets end
            earlier (recipes that drop a short tail), the last score is repeated.
        fps: Frames per second of the video; only for recipes that resample.

    Returns:
        (frames,) float32.

    Raises:
        InputError: If there are no snippets, `frames` is below 1, or a recipe that resamples gets
            no `fps`.
        VadError: If a score is NaN or infinite.
    """
    if frames < 1:
        raise InputError(f"frames must be an integer >= 1, got {frames}")
    if snippet_scores.ndim != 1 or len(snippet_scores) == 0:
        raise InputError(
            f"snippet scores must have shape (snippets,) with at least one, got "
            f"{snippet_scores.shape}"
        )
    finite = np.isfinite(snippet_scores)
    if not finite.all():
        bad = int(finite.argmin())
        raise VadError(
            f"the score of snippet {bad} is {snippet_scores[bad]}; check the features and the "
            "checkpoint"
        )
    return snippet_scores[recipe.frame_snippets(len(snippet_scores), frames, fps)]
