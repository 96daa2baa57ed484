"""Inception-I3D on a CUDA device: whole snippets in, the features of all their crops out.

The same weights and the same arithmetic as `inception_i3d`, arranged for the device:

- a crop and the mirror image of its pixels are read once, by weights and mirrored weights side by
  side (`triton_kernels.stem`);
- convolution, bias and ReLU are one pass (cuDNN's fused one, or a kernel of ours);
- what a block's branches make is written where the next block reads it, if that saves a copy;
- all passes of a batch are one CUDA graph: one launch, not a hundred.
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

# What shows the same pixels when the frame is mirrored. The centre does not where the frame's and
# the crop's width differ by an odd number: torchvision then rounds it to the left in both.
OTHER_SIDE = {
    "top-left": "top-right",
    "top-right": "top-left",
    "bottom-left": "bottom-right",
    "bottom-right": "bottom-left",
}
BEFORE = (2, 2, 3)  # zeros around a window: frames, lines, places
AFTER = (3, 3, 3)
Size = tuple[int, int, int]


@dataclass(frozen=True)
class _Group:
    """Windows of a snippet that become crops in the same way.

    `halves`: as `kernels.stem` takes it. `names`: each window by its place in the frame as it is.
    `plain`, `mirrored`: each window's crops, by their place in the crop order.
    """

    halves: str
    names: tuple[str, ...]
    plain: tuple[int, ...]
    mirrored: tuple[int, ...]


def group_windows(crop_order: Sequence[str]) -> list[_Group]:
    """The windows to be read for the crops of a snippet, each group not empty.

    A mirrored centre stands by its own name among the plain crops' places.
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
    """Top and left, in the frame as it is, of a crop; of a mirrored one, of its mirror image."""
    top, left = crop_places(height, width, size)[name.removesuffix(MIRRORED_SUFFIX)]
    return (top, width - size - left) if name.endswith(MIRRORED_SUFFIX) else (top, left)


class GpuInceptionI3D:
    """One network, one crop order; called with batches of snippets.

    A snippet is (frames, height, width, 4) on the device: three channels and zeros for RGB; for
    flow its two, and those of the mirrored flow. Frames and `crop_size` have to be even.

    Args:
        network: on its device, in the type to compute in.
        crop_order: the crops of a snippet.
        crop_size: pixels of a side.
        graph: whether passes are recorded once and replayed.
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
        """Features, float16 (snippets, crops, 1024)."""
        with _on(self.device):
            if self._batch is None or self._batch.kind != (len(snippets), len(snippets[0])):
                self._batch = None  # its memory goes before that of the next
                self._batch = _Batch(self, len(snippets), len(snippets[0]))
            self._batch.fill(snippets)
            return self._batch.run()

    def compute(self, batch: _Batch) -> Tensor:
        """Features of what the windows of a batch hold."""
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
    """Memory for the windows of so many snippets, and the recorded passes over it."""

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
        """The clips of a batch that are these crops, snippet by snippet."""
        snippets = torch.arange(self.size, device=self._network.device)[:, None]
        own = torch.tensor(crops, device=self._network.device)
        return (snippets * self._network.crops + own).flatten()

    def _record(self) -> None:
        self._network.compute(self)  # compiles, and lets cuDNN choose, which cannot be recorded
        torch.cuda.synchronize(self._network.device)
        torch.cuda.empty_cache()  # the recorded passes have memory of their own
        self._graph = torch.cuda.CUDAGraph()
        # Decoders' threads pin memory meanwhile, which only concerns them.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._features = self._network.compute(self)

    def fill(self, snippets: Sequence[Tensor]) -> None:
        """Copy the windows of snippets to where the passes read them."""
        (t, y, x), (frames, side, _) = BEFORE, self._inside
        for group, windows, _, _ in self.parts:
            targets = iter(_pixels(windows[:, t : t + frames, y : y + side, x : x + side]))
            for snippet in snippets:
                for name in group.names:
                    top, left = window_place(name, snippet.shape[1], snippet.shape[2], side)
                    window = snippet[:, top : top + side, left : left + side]
                    next(targets).copy_(_pixels(window))

    def run(self) -> Tensor:
        """Features (size, crops, 1024) that the next batch does not overwrite."""
        if self._graph is None:
            return self._network.compute(self)
        self._graph.replay()
        assert self._features is not None
        return self._features.clone()


class _Block:
    """An Inception block's weights as our kernels read them."""

    def __init__(self, block: nn.Module) -> None:
        assert isinstance(block, InceptionBlock)
        self._outputs, self._widths = block.outputs, block.widths
        # The second reduced part is widened with zeros to whole blocks of channels.
        self._reduced = -(-block.widths[3] // 16) * 16
        extra = self._reduced - block.widths[3]
        entry = block.entry.conv
        self._entry = F.pad(_matrix(entry), (0, extra)), F.pad(_bias(entry), (0, extra))
        self._branch1 = block.branch1.conv
        second = F.pad(block.branch2.conv.weight, (0, 0, 0, 0, 0, 0, 0, extra))
        self._branch2 = _matrix_of(second), _bias(block.branch2.conv)
        self._branch3 = _matrix(block.branch3.conv), _bias(block.branch3.conv)

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
    """The same numbers, four of 16 bits as one: a copy moves as much with a quarter of threads."""
    return x.view(torch.int64) if x.element_size() == 2 else x


def _bias(conv: nn.Conv3d) -> Tensor:
    assert conv.bias is not None
    return conv.bias.float()


def _matrix(conv: nn.Conv3d) -> Tensor:
    return _matrix_of(conv.weight)


def _matrix_of(weight: Tensor) -> Tensor:
    """A kernel (outputs, channels, ...) as `kernels.convolve` reads it."""
    return weight.permute(2, 3, 4, 1, 0).reshape(-1, len(weight)).contiguous()


def _convolve_relu(x: Tensor, conv: nn.Conv3d) -> Tensor:
    """Convolution and ReLU of (n, T, H, W, channels), by cuDNN in one pass."""
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
