"""Inception-I3D for CUDA devices: features of all crops from whole snippets.

Weights and arithmetic are those of `inception_i3d`, with these optimizations:

- A crop and its mirror image are read once, and multiplied by weights and mirrored weights together
  (`triton_kernels.stem`).
- Convolution, bias and ReLU are one pass (cuDNN's fused one, or a Triton kernel).
- Branches write their output to the input of the next block if that saves a copy.
- All passes of a batch are one CUDA graph: one launch instead of a hundred.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vad_toolkit.backbones import triton_kernels as kernels
from vad_toolkit.backbones.inception_i3d import InceptionBlock, InceptionI3D, same_padding
from vad_toolkit.core.crops import MIRRORED_SUFFIX, crop_places

# The crop with the same pixels in the mirrored frame. The center has none: if the widths of frame
# and crop differ by an odd number, torchvision rounds its position to the left in both.
OTHER_SIDE = {
    "top-left": "top-right",
    "top-right": "top-left",
    "bottom-left": "bottom-right",
    "bottom-right": "bottom-left",
}
BEFORE = (2, 2, 3)  # zeros around a window: frames, rows, columns
AFTER = (3, 3, 3)
Size = tuple[int, int, int]


@dataclass(frozen=True)
class _Group:
    """Windows of a snippet that become crops in the same way.

    Attributes:
        halves: The argument of `kernels.stem`.
        names: The name of each window's position in the frame.
        plain: For each window, the index of its crop.
        mirrored: For each window, the index of the crop with its mirror image.
    """

    halves: str
    names: tuple[str, ...]
    plain: tuple[int, ...]
    mirrored: tuple[int, ...]


def group_windows(crop_order: Sequence[str]) -> list[_Group]:
    """Return the windows to read for the crops of a snippet, in groups that are not empty.

    A mirrored center is a window of its own, under its name in the crop order.
    """
    order = list(crop_order)
    pairs, singles, turned = [], [], []
    for index, name in enumerate(order):
        other = OTHER_SIDE.get(name.removesuffix(MIRRORED_SUFFIX))
        if name.endswith(MIRRORED_SUFFIX):
            if other not in order:
                turned.append((name, 0, index))
        elif (partner := f"{other}{MIRRORED_SUFFIX}") in order:
            pairs.append((name, index, order.index(partner)))
        else:
            singles.append((name, index, 0))
    found = (("both", pairs), ("plain", singles), ("mirrored", turned))
    return [_Group(halves, *zip(*windows, strict=True)) for halves, windows in found if windows]


def window_place(name: str, height: int, width: int, size: int) -> tuple[int, int]:
    """Return the top and left pixel of a crop (if mirrored: of its mirror image) in the frame."""
    top, left = crop_places(height, width, size)[name.removesuffix(MIRRORED_SUFFIX)]
    return (top, width - size - left) if name.endswith(MIRRORED_SUFFIX) else (top, left)


class GpuInceptionI3D:
    """Function from batches of whole snippets to the features of their crops.

    A snippet is (frames, height, width, 4) on the device. The channels are RGB and zeros, or the
    two of flow and the two of the mirrored flow. Frames and `crop_size` must be even numbers.

    Args:
        network: On its device, in the type to compute in.
        crop_order: The crops of a snippet.
        crop_size: The side of a crop in pixels.
        graph: Record all passes once, and replay them.
    """

    def __init__(
        self,
        network: InceptionI3D,
        crop_order: Sequence[str],
        crop_size: int,
        *,
        graph: bool = True,
    ) -> None:
        weight = network.stem.conv.weight
        self.device, self.dtype = weight.device, weight.dtype
        self.crops, self.crop_size = len(crop_order), crop_size
        self.groups = group_windows(crop_order)
        self._graph = graph
        self._network = network
        mirrored_from = 0 if network.channels == 3 else 2
        self._stem = kernels.stem_weight(weight, mirrored_from), _bias(network.stem.conv)
        self._blocks = {name: _Block(block) for name, block in network.blocks.items()}
        self._batch: _Batch | None = None

    def __call__(self, snippets: Sequence[Tensor]) -> Tensor:
        """Return features, float16 (snippets, crops, 1024)."""
        with _on(self.device):
            if self._batch is None or self._batch.kind != (len(snippets), len(snippets[0])):
                self._batch = None  # frees its memory first
                self._batch = _Batch(self, len(snippets), len(snippets[0]))
            self._batch.fill(snippets)
            return self._batch.run()

    def compute(self, batch: _Batch) -> Tensor:
        """Return the features of the windows in a batch."""
        clips, (frames, side, _) = batch.size * self.crops, batch.out_size
        x = torch.empty(
            (clips, frames, side, side, kernels.STEM_OUT), dtype=self.dtype, device=self.device
        )
        for group, windows, plain, mirrored in batch.parts:
            kernels.stem(windows, *self._stem, x, plain, mirrored, group.halves)
        x = _pool_same(x, (1, 3, 3), (1, 2, 2))
        x = _convolve_relu(_convolve_relu(x, self._network.conv2b.conv), self._network.conv2c.conv)
        x = _pool_same(x, (1, 3, 3), (1, 2, 2))
        for name, block in self._blocks.items():
            if name == "Mixed_4b":
                x = _pool_same(x, (3, 3, 3), (2, 2, 2))
            elif name == "Mixed_5b":
                x = _pool_same(x, (2, 2, 2), (2, 2, 2))
            x = block(x)
        means = x.mean(dim=(1, 2, 3), dtype=torch.float32)
        return means.half().reshape(batch.size, self.crops, -1)


class _Batch:
    """Memory for the windows of a number of snippets, and the recorded passes over it."""

    def __init__(self, network: GpuInceptionI3D, size: int, frames: int) -> None:
        self.kind = self.size, _ = size, frames
        self._network = network
        self._inside = frames, network.crop_size, network.crop_size
        self.out_size: Size = (frames // 2, network.crop_size // 2, network.crop_size // 2)
        shape = [a + b + c for a, b, c in zip(BEFORE, self._inside, AFTER, strict=True)]
        shape[2] += -shape[2] % kernels.STEM_LINE
        self.parts = []
        for group in network.groups:
            count = size * len(group.names)
            windows = torch.zeros(
                (count, *shape, kernels.STEM_CHANNELS), dtype=network.dtype, device=network.device
            )
            self.parts.append(
                (group, windows, self._clips(group.plain), self._clips(group.mirrored))
            )
        self._graph: torch.cuda.CUDAGraph | None = None
        self._features: Tensor | None = None
        if network._graph:
            self._record()

    def _clips(self, crops: tuple[int, ...]) -> Tensor:
        """Return the indices in the batch of these crops, snippet by snippet."""
        snippets = torch.arange(self.size, device=self._network.device)[:, None]
        own = torch.tensor(crops, device=self._network.device)
        return (snippets * self._network.crops + own).flatten()

    def _record(self) -> None:
        self._network.compute(self)  # compiles and tunes cuDNN, which a graph cannot record
        torch.cuda.synchronize(self._network.device)
        torch.cuda.empty_cache()  # the recorded passes have memory of their own
        self._graph = torch.cuda.CUDAGraph()
        # Decoder threads may pin memory at the same time, which does not matter here.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._features = self._network.compute(self)

    def fill(self, snippets: Sequence[Tensor]) -> None:
        """Copy the windows of snippets to the memory of the batch."""
        (t, y, x), (frames, side, _) = BEFORE, self._inside
        for group, windows, _, _ in self.parts:
            targets = iter(_pixels(windows[:, t : t + frames, y : y + side, x : x + side]))
            for snippet in snippets:
                for name in group.names:
                    top, left = window_place(name, snippet.shape[1], snippet.shape[2], side)
                    window = snippet[:, top : top + side, left : left + side]
                    next(targets).copy_(_pixels(window))

    def run(self) -> Tensor:
        """Return features (size, crops, 1024) that the next batch does not overwrite."""
        if self._graph is None:
            return self._network.compute(self)
        self._graph.replay()
        assert self._features is not None
        return self._features.clone()


class _Block:
    """An Inception block with its weights in the layout of the kernels."""

    def __init__(self, block: nn.Module) -> None:
        assert isinstance(block, InceptionBlock)
        self._outputs, self._widths = block.outputs, block.widths
        # The second reduced part is padded with zeros to whole blocks of channels.
        self._reduced = -(-block.widths[3] // 16) * 16
        extra = self._reduced - block.widths[3]
        entry = block.entry.conv
        self._entry = F.pad(_matrix(entry.weight), (0, extra)), F.pad(_bias(entry), (0, extra))
        self._branch1 = block.branch1.conv
        second = F.pad(block.branch2.conv.weight, (0, 0, 0, 0, 0, 0, 0, extra))
        self._branch2 = _matrix(second), _bias(block.branch2.conv)
        self._branch3 = _matrix(block.branch3.conv.weight), _bias(block.branch3.conv)

    def __call__(self, x: Tensor) -> Tensor:
        b0, r1, b1, _, b2, b3 = self._widths
        out, reduced1, reduced2 = (
            x.new_empty((*x.shape[:4], width)) for width in (self._outputs, r1, self._reduced)
        )
        first, second, third, fourth = torch.split(out, [b0, b1, b2, b3], dim=4)
        kernels.convolve(x, *self._entry, (first, reduced1, reduced2))
        once = (1, 1, 1)
        kernels.largest(_convolve_relu(reduced1, self._branch1), once, once, (0, 0, 0), second)
        kernels.convolve(reduced2, *self._branch2, (third,))
        kernels.convolve(kernels.largest_around(x), *self._branch3, (fourth,))
        return out


def _on(device: torch.device) -> AbstractContextManager[object]:
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def _pixels(x: Tensor) -> Tensor:
    """View four values of 16 bits as one, so that a copy needs a quarter of the threads."""
    return x.view(torch.int64) if x.element_size() == 2 else x


def _bias(conv: nn.Conv3d) -> Tensor:
    assert conv.bias is not None
    return conv.bias.float()


def _matrix(weight: Tensor) -> Tensor:
    """Return a kernel (outputs, channels, ...) in the layout of `kernels.convolve`."""
    return weight.permute(2, 3, 4, 1, 0).reshape(-1, len(weight)).contiguous()


def _convolve_relu(x: Tensor, conv: nn.Conv3d) -> Tensor:
    """Return the ReLU of a convolution of (n, T, H, W, channels), in one pass of cuDNN."""
    planes = x.permute(0, 4, 1, 2, 3)
    if x.device.type == "cuda":
        padding = [size // 2 for size in conv.kernel_size]  # as `ConvUnit` has it at stride 1
        made: Tensor = torch.cudnn_convolution_relu(
            planes, conv.weight, conv.bias, conv.stride, padding, conv.dilation, conv.groups
        )
    else:
        made = F.relu_(F.conv3d(planes, conv.weight, conv.bias, conv.stride, conv.padding))
    return made.permute(0, 2, 3, 4, 1).contiguous()


def _pool_same(x: Tensor, kernel: Size, stride: Size) -> Tensor:
    sizes = [-(-size // step) for size, step in zip(x.shape[1:4], stride, strict=True)]
    out = x.new_empty((len(x), *sizes, x.shape[4]))
    axes = zip(x.shape[1:4], kernel, stride, strict=True)
    t, y, z = (same_padding(*axis) // 2 for axis in axes)
    kernels.largest(x, kernel, stride, (t, y, z), out)
    return out
