"""What every network that makes features is, and the convolution that holds its batch norm."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from vad_toolkit.backbones.volume_conv import has_quick_form, volume_conv


class Backbone(nn.Module, ABC):
    """Clips (n, channels, frames, height, width), normalised, to features (n, feature_dim)."""

    feature_dim: int
    channels: int

    @abstractmethod
    def logits(self, clips: Tensor) -> Tensor:
        """What the published classifier says of clips, (n, 400)."""


class FoldedConv3d(nn.Conv3d):
    """A convolution that does the batch norm after it too: its bias is what both leave.

    `own_bias` says that the published convolution had a bias before its batch norm. Of one place
    (1x1x1) it is a matrix product over channels, which lie next to each other: no copy, where a
    convolution makes two on a CPU. Of 3x3x3 places it is `volume_conv`'s where that is quicker.
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
        places = x[:, :, ::t, ::h, ::w].permute(0, 2, 3, 4, 1)
        return F.linear(places, self.weight.flatten(1), self.bias).permute(0, 4, 1, 2, 3)


def fold(
    kernel: Tensor,
    gamma: Tensor | None,
    beta: Tensor,
    mean: Tensor,
    variance: Tensor,
    epsilon: float,
    bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that does a convolution and its batch norm.

    Computed in float64, given in float32. `gamma` None is 1, `bias` (the convolution's own) None
    is 0.
    """
    scale = (variance.double().flatten() + epsilon).rsqrt()
    if gamma is not None:
        scale = scale * gamma.double()
    offset = -mean.double().flatten() if bias is None else bias.double() - mean.double().flatten()
    folded = beta.double().flatten() + offset * scale
    return (kernel.double() * scale.reshape(-1, 1, 1, 1, 1)).float(), folded.float()


def published_parameters(network: nn.Module) -> int:
    """How many parameters the published form of `network` has, batch norm apart.

    Where we have one bias a channel, a batch norm has two numbers to train (gamma and beta), and
    the convolution before it may have a bias of its own. Running means and variances are no
    parameters.
    """
    count = sum(parameter.numel() for parameter in network.parameters())
    for module in network.modules():
        if isinstance(module, FoldedConv3d):
            count += module.out_channels * (2 if module.own_bias else 1)
    return count
