"""Optical flow by the names that recipes have."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from vad_toolkit.errors import InputError


class FlowEstimator(Protocol):
    """Frames uint8 (n + 1, 3, height, width) to flow (n, 2, height, width), in pixels."""

    def __call__(self, frames: Tensor) -> Tensor: ...


def load_flow(algorithm: str, device: torch.device) -> FlowEstimator:
    """The estimator of that name."""
    raise InputError(f"no flow {algorithm!r} on {device}")
