"""Mean, standard deviation and covariance of a training set's inputs."""

from __future__ import annotations

import torch
from torch import Tensor

from vad_toolkit.models.base import MilModel
from vad_toolkit.training.data import VideoTensors


def fit_inputs(model: MilModel, data: VideoTensors, videos: Tensor) -> None:
    """Give a model mean and std of some videos' inputs and, where it has any, their components.

    Args:
        videos: (n,) int64, n >= 1: the training split and nothing else.
    """
    mean, std = input_statistics(data, videos)
    model.standardise.fit(mean, std)
    if model.components is not None:
        model.components.fit(input_covariance(data, videos, mean, std))


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


def input_covariance(data: VideoTensors, videos: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Covariance of standardised inputs, counted as `input_statistics` counts.

    Args:
        mean, std: (D,), as `input_statistics` gives them; where std is 0, a number is only centred.

    Returns:
        (D, D) float64.
    """
    covariance = torch.zeros(data.width, data.width, dtype=torch.float64)
    scale = torch.where(std > 0, std, 1.0)
    for video in videos.tolist():
        rows = ((data.video(video).float() - mean) / scale).flatten(0, 1)  # (C * L, D)
        covariance += (rows.T @ rows).double() / len(rows)
    return covariance / len(videos)
