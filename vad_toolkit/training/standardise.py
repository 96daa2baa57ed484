"""Mean and standard deviation of a training set's inputs."""

from __future__ import annotations

import torch
from torch import Tensor


def input_statistics(data: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and std a feature dimension, over some videos, all their crops and all their segments.

    Sums are taken in float64, one video in that type at a time.

    Args:
        data: (V, C, T, D), float16 or float32.
        videos: (n,) int64, which of the V count, n >= 1: the training split and nothing else.

    Returns:
        Two (D,) float32.
    """
    mean = torch.zeros(data.shape[3], dtype=torch.float64)
    for video in videos.tolist():
        mean += data[video].double().mean(dim=(0, 1))
    mean /= len(videos)
    variance = torch.zeros_like(mean)
    for video in videos.tolist():
        variance += (data[video].double() - mean).square().mean(dim=(0, 1))
    variance /= len(videos)
    return mean.float(), variance.sqrt().float()
