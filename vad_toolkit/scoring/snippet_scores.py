"""Snippet scores of a whole video of any length."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vad_toolkit.errors import InputError
from vad_toolkit.models.base import MilModel, Output
from vad_toolkit.models.blocks import reach, run_in_blocks

# Snippets x crops per forward pass. The networks need up to 80 kB for each (2,048 dimensions are
# 8 kB in float32, in several copies), so this is about 600 MB at most. Only videos of several hours
# need more than one pass over time.
ROWS_AT_ONCE = 8_192


class Features(Protocol):
    """Features of a video, (N, C, D) float16 or float32: an array, or a reader of its parts."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, D)."""

    def __getitem__(self, part: tuple[slice, slice], /) -> NDArray[Any]:
        """Return the selected snippets and crops, (n, c, D)."""


def score_snippets(
    model: MilModel, features: Features, device: torch.device | str = "cpu"
) -> NDArray[np.float32]:
    """Return the anomaly score of each snippet, in evaluation mode.

    Crops do not interact inside a model, only their scores are averaged: as many pass together as
    `ROWS_AT_ONCE` allows. A longer video passes crop by crop, and each crop in blocks
    (`blocks.run_in_blocks`). Memory then does not grow with C, nor with N except for the scores
    and, in methods with attention over the whole video, the keys and values of one crop.

    Args:
        model: The network, which is moved to `device`; its mode is restored afterwards.
        features: (N, C, D), D as in the model.

    Returns:
        (N,) float32, the model's scores as they are; empty for a video without snippets.

    Raises:
        InputError: If the shape does not fit the model, or features are not finite; names the
            snippet.
    """

    def forward(group: slice, start: int, stop: int) -> Tensor:
        x = _batch(features, slice(start, stop), group, device)
        return model(x).scores[0]  # type: ignore[no-any-return]

    with _crop_groups(model, features, device) as groups, torch.inference_mode():
        snippets, crops = features.shape[:2]
        total = torch.zeros(snippets, device=device)
        for group in groups:
            part = partial(forward, group)
            scores = run_in_blocks(part, snippets, reach(model), block=ROWS_AT_ONCE)
            total += scores * (group.stop - group.start)
        return np.asarray((total / crops).cpu())


def pass_crops(
    model: MilModel, features: Features, device: torch.device | str = "cpu"
) -> Iterator[Output]:
    """Yield the outputs, (1, c, N, ...), of forward passes of some crops over the whole video.

    For inspecting a network; use `score_snippets` for scores, which takes videos of any length.

    Raises:
        InputError: If the shape does not fit the model, or features are not finite.
    """
    with _crop_groups(model, features, device) as groups:
        for group in groups:
            x = _batch(features, slice(0, features.shape[0]), group, device)
            with torch.inference_mode():
                output: Output = model(x)
            yield output
            del output  # frees its memory before the next pass


@contextmanager
def _crop_groups(
    model: MilModel, features: Features, device: torch.device | str
) -> Iterator[list[slice]]:
    """Keep a model in evaluation mode on `device`, and yield the crops that pass together."""
    shape = features.shape
    if len(shape) != 3 or shape[1] == 0 or shape[2] != model.input_dim:
        raise InputError(
            f"features have shape {shape}; this model needs (snippets, crops, {model.input_dim})"
        )
    snippets, crops = shape[:2]
    at_once = max(1, min(crops, ROWS_AT_ONCE // max(1, snippets)))
    firsts = range(0, crops, at_once) if snippets else ()
    was_training = model.training
    model.to(device).eval()
    try:
        yield [slice(first, min(first + at_once, crops)) for first in firsts]
    finally:
        model.train(was_training)


def _batch(features: Features, snippets: slice, crops: slice, device: torch.device | str) -> Tensor:
    """Read snippets of some crops as a batch of one video, (1, c, n, D)."""
    part = features[snippets, crops]
    finite = np.isfinite(part).all(axis=(1, 2))
    if not finite.all():
        raise InputError(
            f"features of snippet {snippets.start + int(finite.argmin())} are NaN or infinite; "
            "extract this video again"
        )
    return torch.from_numpy(np.ascontiguousarray(part.swapaxes(0, 1))).to(device)[None]
