"""Convolutions of 3x3x3 places with a third of the multiplications left out, on CPUs.

Winograd's minimal filtering F(2, 3) along time (Lavin and Gray, CVPR 2016, arXiv 1509.09308): two
frames of the output are made of four 3x3 convolutions, not six: of sums and differences of frames
with such of the kernel's. It rounds no worse than the direct form (docs/LOG.md). Along time only,
since whole frames are added in the order in which they lie in memory.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Sums take their time too: it is worth it from so many input channels and places of a line on.
FROM_CHANNELS, FROM_WIDTH = 64, 28


def is_worth_it(conv: nn.Conv3d, x: Tensor) -> bool:
    """Whether `convolve` can do this, and is faster than PyTorch. It has no gradient."""
    return (
        not torch.is_grad_enabled()
        and x.device.type == "cpu"
        and x.dtype == torch.float32  # sums of frames would lose bfloat16's few digits
        and conv.kernel_size == (3, 3, 3)
        and conv.stride == conv.padding == conv.dilation == (1, 1, 1)
        and conv.in_channels >= FROM_CHANNELS
        and x.shape[2] % 2 == 0
        and x.shape[4] >= FROM_WIDTH
    )


def convolve(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A convolution of stride 1 with one zero around.

    Args:
        x: (n, channels, T, H, W), channels-last-3d; T even.
        weight: (outputs, channels, 3, 3, 3).
        bias: (outputs,).

    Returns:
        (n, outputs, T, H, W), channels-last-3d.
    """
    frames = x.permute(0, 2, 3, 4, 1)
    even, odd = frames[:, 0::2], frames[:, 1::2]
    first, middle, last = weight.unbind(2)
    half, turned = (first + last + middle) / 2, (first + last - middle) / 2
    # Frames t and t + 1 of the output see t - 1 to t + 2; beyond the ends are zeros.
    before, after = torch.empty_like(even), torch.empty_like(even)
    torch.neg(odd[:, :1], out=before[:, :1])
    torch.sub(odd[:, :-1], odd[:, 1:], out=before[:, 1:])
    torch.sub(even[:, :-1], even[:, 1:], out=after[:, :-1])
    after[:, -1:] = even[:, -1:]

    total = _planes(even + odd, half, bias)
    change = _planes(odd - even, turned)
    made = torch.empty((*frames.shape[:4], len(weight)), dtype=x.dtype)
    torch.add(total, change, out=made[:, 0::2])
    made[:, 0::2] += _planes(before, first)
    torch.sub(total, change, out=made[:, 1::2])
    made[:, 1::2] -= _planes(after, last)
    return made.permute(0, 4, 1, 2, 3)


def _planes(frames: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """A convolution of each frame, (n, k, H, W, channels) with (outputs, channels, 3, 3)."""
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    made = F.conv2d(frames.flatten(0, 1).permute(0, 3, 1, 2), kernel, bias, padding=1)
    return made.permute(0, 2, 3, 1).reshape(*frames.shape[:4], -1)
