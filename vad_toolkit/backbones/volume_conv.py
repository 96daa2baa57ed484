"""Faster 3x3x3 convolutions on CPUs: Winograd's F(2, 3) along time saves 1/3 of the products.

Sums are of whole frames in memory order, and each product is a 2-D convolution of frames. Rounding
errors are not larger than PyTorch's (docs/LOG.md).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vad_toolkit.core import winograd

LEAST_INPUTS, LEAST_WIDTH = 64, 28  # below, the sums cost as much as the products they save


def has_quick_form(conv: nn.Conv3d, x: Tensor) -> bool:
    """Return True if `volume_conv` can replace `conv` for `x` and is faster. It has no gradient."""
    return (
        not torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype == torch.float32  # sums of frames would lose bfloat16's few digits
        and conv.kernel_size == (3, 3, 3)
        and conv.stride == conv.padding == conv.dilation == (1, 1, 1)
        and conv.in_channels >= LEAST_INPUTS
        and x.shape[2] % 2 == 0
        and x.shape[4] >= LEAST_WIDTH
    )


def volume_conv(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return `conv3d` with a padding of 1, for an even number of frames T.

    Args:
        x: (n, channels, T, H, W), channels-last-3d.
        weight: (outputs, channels, 3, 3, 3).
        bias: (outputs,).

    Returns:
        (n, outputs, T, H, W), channels-last-3d.
    """
    parts = winograd.tiles(x.permute(0, 2, 3, 4, 1))
    kernels = winograd.filters(weight)
    biases = None, bias, None, None  # the second product is part of both outputs
    products = [_convolve(*each) for each in zip(parts, kernels, biases, strict=True)]
    return winograd.outputs(products).permute(0, 4, 1, 2, 3)


def _convolve(frames: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """(n, T, H, W, channels), (outputs, channels, 3, 3) -> (n, T, H, W, outputs)."""
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    made = F.conv2d(frames.flatten(0, 1).permute(0, 3, 1, 2), kernel, bias, padding=1)
    return made.permute(0, 2, 3, 1).reshape(*frames.shape[:4], -1)
