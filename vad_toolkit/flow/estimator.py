"""Interface of all optical-flow algorithms."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from vad_toolkit.errors import InputError


class FlowEstimator(Protocol):
    """Estimator of the flow from each frame to the next one: n flows for n + 1 frames."""

    def __call__(self, frames: Tensor) -> Tensor:
        """Estimate the flow of n pairs of consecutive frames.

        Args:
            frames: uint8 (n + 1, 3, H, W), RGB, on the estimator's device; n >= 0.

        Returns:
            float32 (n, 2, H, W) on the same device: the motion of the content from frame i to frame
            i + 1, in pixels to the right, then in pixels down.

        Raises:
            InputError: If frames have another type or shape, or are too small for the algorithm.
        """


def check_frames(frames: Tensor, smallest: int) -> None:
    """Check that `frames` are RGB frames with sides of at least `smallest` pixels.

    Raises:
        InputError: If they are not.
    """
    if frames.dtype != torch.uint8 or frames.dim() != 4 or not len(frames) or frames.size(1) != 3:
        raise InputError(
            "frames for optical flow must be uint8 (n + 1, 3, H, W), RGB, got "
            f"{str(frames.dtype).removeprefix('torch.')} {tuple(frames.shape)}"
        )
    height, width = frames.shape[2:]
    if min(height, width) < smallest:
        raise InputError(
            f"frames must be at least {smallest}x{smallest} for this flow algorithm, got "
            f"{width}x{height}; resize them first"
        )
