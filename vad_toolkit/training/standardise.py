"""Mean and standard deviation of a training set's inputs."""

from __future__ import annotations

import torch
from torch import Tensor

from vad_toolkit.training.videos import VideoTensors


def input_statistics(data: VideoTensors, videos: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and std a feature dimension, over some videos, all their crops and all their segments.

    A video counts once, however many segments it has. Sums are taken in float64, one video in that
    type at a time.

    Args:
        videos: (n,) int64, which of the videos count, n >= 1: the training split and nothing else.

    Returns:
        Two (D,) float32.
    """
    mean = torch.zeros(data.width, dtype=torch.float64)
    for video in videos.tolist():
        mean += data.video(video).double().mean(dim=(0, 1))
    mean /= len(videos)
    variance = torch.zeros_like(mean)
    for video in videos.tolist():
        variance += (data.video(video).double() - mean).square().mean(dim=(0, 1))
    variance /= len(videos)
    return mean.float(), variance.sqrt().float()
