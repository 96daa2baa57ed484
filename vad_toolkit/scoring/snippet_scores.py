"""One whole video of any length through a network, and its scores."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vad_toolkit.errors import InputError
from vad_toolkit.models.base import MilModel, Output
from vad_toolkit.models.blocks import reach, run_in_blocks

# Snippets x crops in one forward pass. The networks take up to 80 kB for each (2,048 numbers are
# 8 kB in float32, and stand there several times over), so this is some 600 MB at most; and all but
# videos of hours pass in one piece, which takes one pass instead of several.
ROWS_AT_ONCE = 8_192


class Features(Protocol):
    """Features of a video, (N, C, D) float16 or float32: an array, or what reads its parts."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, D)."""

    def __getitem__(self, part: tuple[slice, slice], /) -> NDArray[Any]:
        """(n, c, D): these snippets of these crops."""


def score_snippets(
    model: MilModel, features: Features, device: torch.device | str = "cpu"
) -> NDArray[np.float32]:
    """Anomaly score of each snippet, in evaluation mode.

    Crops do not meet inside a model, only their scores are averaged: as many pass together as
    `ROWS_AT_ONCE` allows. A video that is longer than that passes crop by crop, and each crop in
    blocks (`blocks.run_in_blocks`), so that memory does not grow with C; nor with N, but for the
    scores and, of methods with attention over the whole video, one crop's keys and values.

    Args:
        model: moved to `device` if it is elsewhere; its mode is left as it was.
        features: (N, C, D), D as the model was built for.
        device: where to compute.

    Returns:
        (N,) float32 in [0, 1]; empty for a video without snippets.

    Raises:
        InputError: the shape does not fit the model, or features are not finite; names the snippet.
    """
    snippets, crops = _check_shape(model, features)
    if snippets == 0:
        return np.zeros(0, dtype=np.float32)
    model = model.to(device)
    at_once = max(1, min(crops, ROWS_AT_ONCE // snippets))

    def forward(group: slice, start: int, stop: int) -> Tensor:
        part = features[start:stop, group]
        _check_finite(part, start)
        x = np.ascontiguousarray(part.swapaxes(0, 1))  # (c, n, D)
        return model(torch.from_numpy(x).to(device)[None]).scores[0]  # type: ignore[no-any-return]

    total = torch.zeros(snippets, device=device)
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for first in range(0, crops, at_once):
                group = slice(first, min(first + at_once, crops))
                scores = run_in_blocks(
                    partial(forward, group), snippets, reach(model), block=ROWS_AT_ONCE
                )
                total += scores * (group.stop - group.start)
    finally:
        model.train(was_training)
    result: NDArray[np.float32] = (total / crops).clamp(0, 1).cpu().numpy()
    return result


def pass_crops(
    model: MilModel, features: Features, device: torch.device | str = "cpu"
) -> Iterator[Output]:
    """A video's forward passes in evaluation mode, in one piece in time, each of c crops.

    For whoever looks inside: `score_snippets` is for scores, and takes videos of any length.

    Yields:
        `Output` of (1, c, N, ...), all crops in turn; nothing for a video without snippets.

    Raises:
        InputError: the shape does not fit the model, or features are not finite.
    """
    snippets, crops = _check_shape(model, features)
    if snippets == 0:
        return
    model = model.to(device)
    at_once = max(1, min(crops, ROWS_AT_ONCE // snippets))
    was_training = model.training
    model.eval()
    try:
        for first in range(0, crops, at_once):
            part = features[0:snippets, first : first + at_once]
            _check_finite(part, 0)
            x = torch.from_numpy(np.ascontiguousarray(part.swapaxes(0, 1))).to(device)[None]
            with torch.inference_mode():
                output: Output = model(x)
            yield output
            del output  # before the next one is made
    finally:
        model.train(was_training)


def _check_shape(model: MilModel, features: Features) -> tuple[int, int]:
    """N and C."""
    if len(features.shape) != 3 or features.shape[1] == 0 or features.shape[2] != model.input_dim:
        raise InputError(
            f"features of shape {features.shape}: this model takes "
            f"(snippets, crops, {model.input_dim})"
        )
    return features.shape[0], features.shape[1]


def _check_finite(part: NDArray[Any], start: int) -> None:
    """`part`: (n, c, D), the snippets from `start` on."""
    finite = np.isfinite(part).all(axis=(1, 2))
    if not finite.all():
        raise InputError(
            f"features of snippet {start + int(finite.argmin())} hold NaN or infinity: extract "
            "this video again"
        )
