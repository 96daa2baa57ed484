"""Statistics of a training set's inputs: mean, standard deviation and covariance."""

from __future__ import annotations

import torch
from torch import Tensor

from vad_toolkit.models.base import MilModel
from vad_toolkit.training.data import VideoTensors


def fit_inputs(model: MilModel, data: VideoTensors, videos: Tensor) -> None:
    """Fit the input transforms of a model on the CPU: mean and std and, if it has any, components.

    `videos`, (n,) int64, are the rows of the training split and nothing else; n >= 1.
    """
    mean, std = input_statistics(data, videos)
    model.standardise.fit(mean, std)
    if model.components is not None:
        model.components.fit(input_covariance(data, videos, mean, std))


def input_statistics(data: VideoTensors, videos: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and std, (D,) float32, over all crops and segments of the `videos` (n,).

    Each video has the same weight, however many segments it has. Sums are computed in float64, with
    one video in that type at a time.
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
    """Return the covariance of standardized inputs, (D, D) float64, from `input_statistics`.

    Videos are weighted as there; a dimension of std 0 is only centered.
    """
    covariance = torch.zeros(data.width, data.width, dtype=torch.float64)
    scale = torch.where(std > 0, std, 1.0)
    for video in videos.tolist():
        rows = ((data.video(video).float() - mean) / scale).flatten(0, 1)  # (C * L, D)
        covariance += (rows.T @ rows).double() / len(rows)
    return covariance / len(videos)
