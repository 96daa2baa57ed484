"""What every flow algorithm takes and gives."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from vad_toolkit.errors import InputError


class FlowEstimator(Protocol):
    """Flow from each frame to the next one.

    n + 1 frames give n flows. What a video's last frame gets is the caller's choice.
    """

    def __call__(self, frames: Tensor) -> Tensor:
        """Estimate the flow of n pairs of neighbouring frames.

        Args:
            frames: uint8 (n + 1, 3, H, W), RGB, on the estimator's device; n >= 0.

        Returns:
            float32 (n, 2, H, W) on the same device: pixels to the right, then pixels down, that
            the content of frame i moves until frame i + 1.

        Raises:
            InputError: another type or shape, or frames that are too small for the algorithm.
        """


def check_frames(frames: Tensor, smallest: int) -> None:
    """Refuse what is no stack of RGB frames with sides of at least `smallest` pixels.

    Raises:
        InputError: so.
    """
    if frames.dtype != torch.uint8 or frames.dim() != 4 or not len(frames) or frames.size(1) != 3:
        raise InputError(
            f"frames are {str(frames.dtype).removeprefix('torch.')} {tuple(frames.shape)}: "
            "flow takes uint8 (n + 1, 3, H, W), RGB"
        )
    height, width = frames.shape[2:]
    if min(height, width) < smallest:
        raise InputError(
            f"frames are {width}x{height}: this flow algorithm needs at least "
            f"{smallest}x{smallest}; resize them first"
        )
