"""One whole video of any length through a network, and its scores."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from vad_toolkit.errors import InputError
from vad_toolkit.models.base import MilModel, Output

ROWS_AT_ONCE = 32_768  # snippets x crops in one forward pass; a longer video goes crop by crop


def score_snippets(
    model: MilModel, features: NDArray[np.floating], device: torch.device | str = "cpu"
) -> NDArray[np.float32]:
    """Anomaly score of each snippet, in evaluation mode.

    Crops do not meet inside a model, only their scores are averaged; so they may pass one after the
    other, and memory grows linearly with N whatever the number of crops.

    Args:
        model: moved to `device` if it is elsewhere; its mode is left as it was.
        features: (N, C, D) float16 or float32, D as the model was built for.
        device: where to compute.

    Returns:
        (N,) float32 in [0, 1]; empty for a video without snippets.

    Raises:
        InputError: the shape does not fit the model, or features are not finite.
    """
    total = torch.zeros(len(features), device=device)
    for output in pass_crops(model, features, device):
        total += output.scores[0] * output.features.shape[1]
        del output  # before the next one is made
    scores: NDArray[np.float32] = (total / features.shape[1]).clamp(0, 1).cpu().numpy()
    if not np.isfinite(scores).all():
        raise InputError("features hold values that are not finite: extract this video again")
    return scores


def pass_crops(
    model: MilModel, features: NDArray[np.floating], device: torch.device | str = "cpu"
) -> Iterator[Output]:
    """The video's forward passes in evaluation mode, each of c crops: `Output` of (1, c, N, ...).

    Nothing where the video has no snippets. Arguments and errors are those of `score_snippets`.
    """
    if features.ndim != 3 or features.shape[1] == 0 or features.shape[2] != model.input_dim:
        raise InputError(
            f"features of shape {features.shape}: this model takes "
            f"(snippets, crops, {model.input_dim})"
        )
    snippets, crops, _ = features.shape
    if snippets == 0:
        return
    model = model.to(device)
    at_once = max(1, min(crops, ROWS_AT_ONCE // snippets))
    was_training = model.training
    model.eval()
    try:
        for first in range(0, crops, at_once):
            part = np.ascontiguousarray(features[:, first : first + at_once].swapaxes(0, 1))
            with torch.inference_mode():
                output: Output = model(torch.from_numpy(part).to(device)[None])  # (1, c, N, D)
            yield output
            del output
    finally:
        model.train(was_training)
