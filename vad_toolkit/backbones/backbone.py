"""Base class of the networks that compute features, and the convolution with folded batch norm."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from vad_toolkit.backbones.volume_conv import has_quick_form, volume_conv
from vad_toolkit.errors import InputError


class Backbone(nn.Module):
    """Network from normalized clips (n, channels, frames, height, width) to (n, feature_dim).

    A subclass sets both attributes and defines `forward`.

    Attributes:
        feature_dim: The dimension of a feature.
        channels: The channels of a clip: 3 for RGB, 2 for flow.

    Example:
        >>> import vad_toolkit as vad
        >>> class Mean(vad.Backbone):
        ...     channels, feature_dim = 3, 3
        ...     def forward(self, clips):
        ...         return clips.mean(dim=(2, 3, 4))
    """

    feature_dim: int
    channels: int

    def logits(self, clips: Tensor) -> Tensor:
        """Return the class scores (n, classes) of the published classifier.

        Raises:
            InputError: If the network has no classifier.
        """
        raise InputError(f"{type(self).__name__} has no classifier; it only computes features")


class FoldedConv3d(nn.Conv3d):
    """Convolution that includes the batch norm after it: its bias is the offset of both.

    A 1x1x1 kernel is computed as a matrix product over channels, which are adjacent in memory: that
    saves the two copies of a CPU convolution. A 3x3x3 kernel uses `volume_conv` if it is faster.

    Attributes:
        own_bias: True if the published convolution has a bias before its batch norm.
    """

    def __init__(self, *arguments: Any, own_bias: bool = False, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.own_bias = own_bias

    def forward(self, x: Tensor) -> Tensor:
        if has_quick_form(self, x):
            assert self.bias is not None
            return volume_conv(x, self.weight, self.bias)
        if self.kernel_size != (1, 1, 1):
            return super().forward(x)
        t, h, w = self.stride
        positions = x[:, :, ::t, ::h, ::w].permute(0, 2, 3, 4, 1)
        return F.linear(positions, self.weight.flatten(1), self.bias).permute(0, 4, 1, 2, 3)


def fold(
    kernel: Tensor,
    gamma: Tensor | None,
    beta: Tensor,
    mean: Tensor,
    variance: Tensor,
    epsilon: float,
    bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the weight and bias of one convolution that equals a convolution and its batch norm.

    Args:
        kernel: The weight of the convolution.
        gamma: The scale of the batch norm. If None, 1.
        beta: The offset of the batch norm.
        mean: The running mean.
        variance: The running variance.
        epsilon: The term that is added to the variance.
        bias: The bias of the convolution. If None, 0.

    Returns:
        float32 tensors, computed in float64.
    """
    scale = (variance.double().flatten() + epsilon).rsqrt()
    if gamma is not None:
        scale = scale * gamma.double()
    offset = -mean.double().flatten() if bias is None else bias.double() - mean.double().flatten()
    folded = beta.double().flatten() + offset * scale
    return (kernel.double() * scale.reshape(-1, 1, 1, 1, 1)).float(), folded.float()
