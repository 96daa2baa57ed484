"""Pixels to what networks were trained on, by the names that recipes have."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from vad_toolkit.backbones.registry import Normalisation

# mean and standard deviation a channel, of pixels in [0, 1]
STATISTICS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "kinetics": ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.45, 0.45, 0.45), (0.225, 0.225, 0.225)),
}


def normalise(pixels: Tensor, method: Normalisation) -> Tensor:
    """Normalise pixels (n, 3, ...), uint8; computed and returned in float32.

    `x*2/255-1` gives [-1, 1]; `(x-114.75)/57.375` is that of Caffe2's networks; the others are
    (x / 255 - mean) / deviation a channel, as torchvision's networks have it.
    """
    values = pixels.float()
    if method == "x*2/255-1":
        return values.mul_(2).div_(255).sub_(1)
    if method == "(x-114.75)/57.375":
        return values.sub_(114.75).div_(57.375)
    shape = (1, -1, *(1,) * (values.dim() - 2))
    mean, deviation = (
        torch.tensor(numbers, device=values.device).reshape(shape) for numbers in STATISTICS[method]
    )
    return values.div_(255).sub_(mean).div_(deviation)
