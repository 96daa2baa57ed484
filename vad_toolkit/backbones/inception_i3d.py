"""Inception-I3D (Carreira and Zisserman, CVPR 2017, arXiv 1705.07750), written for fast inference.

Architecture and names follow DeepMind's kinetics-i3d (Apache-2.0). Three things differ from a plain
transcription, none of which changes a value beyond rounding:

- batch norm is folded into the convolution before it, so a unit is one convolution with bias and
  ReLU;
- the three 1x1x1 convolutions that read an Inception block's input are one convolution, split
  after;
- everything runs channels-last-3d, the layout in which the convolution libraries read memory in
  order.

TensorFlow's "SAME" pads the end of an axis by one more than its start where the sum is odd. The
stem pads by hand for that; pooling pads the start and lets ``ceil_mode`` run over the end.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEATURE_DIM = 1024
CLASSES = 400
EPSILON = 1e-3  # of the batch norm that was folded

# name -> (branch 0; branch 1 reduce, out; branch 2 reduce, out; branch 3), channels.
MIXED: Mapping[str, tuple[int, int, int, int, int, int]] = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}


class ConvUnit(nn.Module):
    """Convolution with folded batch norm, then ReLU; pads evenly at stride 1, not at all else."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        even = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride=stride, padding=even)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(self.conv(x))


class InceptionBlock(nn.Module):
    """Four branches over one input; output channels in the order 0, 1, 2, 3."""

    def __init__(self, inputs: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        b0, r1, b1, r2, b2, b3 = widths
        self.widths = widths
        self.outputs = b0 + b1 + b2 + b3
        self.entry = ConvUnit(inputs, b0 + r1 + r2)  # the 1x1x1 of branches 0, 1 and 2 side by side
        self.branch1 = ConvUnit(r1, b1, kernel=3)
        self.branch2 = ConvUnit(r2, b2, kernel=3)
        self.branch3 = ConvUnit(inputs, b3)

    def forward(self, x: Tensor) -> Tensor:
        b0, r1, _, r2, _, _ = self.widths
        branch0, reduced1, reduced2 = self.entry(x).split((b0, r1, r2), dim=1)
        pooled = F.max_pool3d(x, 3, stride=1, padding=1)
        return torch.cat(
            (branch0, self.branch1(reduced1), self.branch2(reduced2), self.branch3(pooled)), dim=1
        )


class InceptionI3D(nn.Module):
    """RGB (3 channels) or flow (2 channels) Inception-I3D.

    ``forward`` takes clips (n, channels, frames, height, width) in [-1, 1] and gives (n, 1024).
    """

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.stem = ConvUnit(channels, 64, kernel=7, stride=2)
        self.conv2b = ConvUnit(64, 64)
        self.conv2c = ConvUnit(64, 192, kernel=3)
        width = 192
        self.blocks = nn.ModuleDict()
        for name, widths in MIXED.items():
            block = InceptionBlock(width, widths)
            self.blocks[name] = block
            width = block.outputs
        self.logits_conv = nn.Conv3d(FEATURE_DIM, CLASSES, 1)

    def trunk(self, clips: Tensor) -> Tensor:
        """Clips to the last mixed block: (n, 1024, frames / 8, height / 32, width / 32)."""
        x = clips.contiguous(memory_format=torch.channels_last_3d)
        x = self.stem(_pad_same(x, kernel=7, stride=2))
        x = _max_pool_same(x, kernel=(1, 3, 3), stride=(1, 2, 2))
        x = self.conv2c(self.conv2b(x))
        x = _max_pool_same(x, kernel=(1, 3, 3), stride=(1, 2, 2))
        for name, block in self.blocks.items():
            if name == "Mixed_4b":
                x = _max_pool_same(x, kernel=(3, 3, 3), stride=(2, 2, 2))
            elif name == "Mixed_5b":
                x = _max_pool_same(x, kernel=(2, 2, 2), stride=(2, 2, 2))
            x = block(x)
        return x

    def forward(self, clips: Tensor) -> Tensor:
        """Features: the last mixed block, averaged over time and space.

        For 16 frames at 224x224 the published average pool (2, 7, 7) covers the whole block, so
        this is exactly it.
        """
        return self.trunk(clips).mean(dim=(2, 3, 4))

    def logits(self, clips: Tensor) -> Tensor:
        """Kinetics-400 logits (n, 400): average pool (2, 7, 7), linear, mean over time."""
        pooled = F.avg_pool3d(self.trunk(clips), (2, 7, 7), stride=1)
        logits: Tensor = self.logits_conv(pooled).mean(dim=(2, 3, 4))
        return logits


def _same_padding(size: int, kernel: int, stride: int) -> int:
    """How much SAME pads an axis in all; the start gets half of it, rounded down."""
    return max((-(-size // stride) - 1) * stride + kernel - size, 0)


def _pad_same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Zeros around time, height and width as TensorFlow's SAME places them."""
    pads: list[int] = []
    for size in reversed(x.shape[2:]):  # F.pad counts from the last dimension
        total = _same_padding(size, kernel, stride)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


def _max_pool_same(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    axes = zip(x.shape[2:], kernel, stride, strict=True)
    start = [_same_padding(*axis) // 2 for axis in axes]
    return F.max_pool3d(x, kernel, stride=stride, padding=start, ceil_mode=True)
