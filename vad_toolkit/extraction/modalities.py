"""The modalities of a recipe, RGB and flow: from resized frames to the clips of a network.

Each frame is converted once, in float32, and rounded to the network's dtype once; crops are views
of it. Memory has the channels last, so that a batch is one copy and already has the layout that
convolutions need (channels-last-3d). A network that cuts the crops itself (`inception_overlap`,
`inception_gpu`) gets whole snippets with four channels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from vad_toolkit.backbones.registry import Normalisation
from vad_toolkit.core.crops import MIRRORED_SUFFIX
from vad_toolkit.extraction.snippets import SnippetCutter, crop_views
from vad_toolkit.flow.estimator import FlowEstimator
from vad_toolkit.flow.quantise import QUANTISATIONS
from vad_toolkit.recipes.recipe import Recipe

WHOLE_CHANNELS = 4
WIDTH_AXIS = 2  # of (frames, height, width, channels)
# Mean and standard deviation per channel, of pixels in [0, 1].
STATISTICS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "kinetics": ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.45, 0.45, 0.45), (0.225, 0.225, 0.225)),
}


class ClipStream(ABC):
    """Clips of one modality of one video, in the order of snippets, then crops."""

    channels: int

    def __init__(self, recipe: Recipe, dtype: torch.dtype, whole: bool) -> None:
        self._recipe = recipe
        self._dtype = dtype
        self._whole = whole
        self._cutter = SnippetCutter(recipe)
        self._mirrors = any(name.endswith(MIRRORED_SUFFIX) for name in recipe.crop_order)

    @abstractmethod
    def push(self, frames: Tensor) -> Iterator[Tensor]:
        """Take the next resized frames, uint8 (n, 3, height, width); yield complete clips.

        These are crops (snippet_frames, size, size, channels), or whole snippets (snippet_frames,
        height, width, 4).
        """

    def finish(self) -> Iterator[Tensor]:
        """Yield the clips that the end of the video completes."""
        yield from self._crops(self._cutter.finish())

    def _crops(self, snippets: Iterator[Tensor]) -> Iterator[Tensor]:
        if self._whole:
            yield from snippets
            return
        for snippet in snippets:
            original, mirrored = snippet[..., : self.channels], snippet[..., -self.channels :]
            yield from crop_views(
                original,
                mirrored.flip(WIDTH_AXIS) if self._mirrors else None,
                self._recipe.crop_order,
                self._recipe.crop_size,
            )

    def _channels_last(self, values: Tensor) -> Tensor:
        """Return (n, c, height, width) as (n, height, width, channels) of the network's dtype."""
        n, own, height, width = values.shape
        channels = WHOLE_CHANNELS if self._whole else own
        result = values.new_empty((n, height, width, channels), dtype=self._dtype)
        result[..., :own] = values.permute(0, 2, 3, 1)
        result[..., own:] = 0
        return result


class RgbClips(ClipStream):
    """Clips of normalized pixels with 3 channels; of whole snippets the fourth channel is 0."""

    channels = 3

    def __init__(self, recipe: Recipe, dtype: torch.dtype, *, whole: bool = False) -> None:
        super().__init__(recipe, dtype, whole)
        self._table: Tensor | None = None  # (4, 256): the result for each pixel value

    def push(self, frames: Tensor) -> Iterator[Tensor]:
        if self._whole and frames.is_cuda:
            values = self._look_up(frames)
        else:
            values = self._channels_last(normalise(frames, self._recipe.normalisation))
        yield from self._crops(self._cutter.push(values))

    def _look_up(self, frames: Tensor) -> Tensor:
        """Return normalized frames with four channels, in one pass instead of six."""
        # Imported here because Triton may be missing without a CUDA device.
        from vad_toolkit.backbones.triton_kernels import look_up

        if self._table is None:
            every = torch.arange(256, device=frames.device).expand(1, 3, 256)
            table = normalise(every, self._recipe.normalisation)[0].to(self._dtype)
            self._table = torch.cat((table, torch.zeros_like(table[:1])))
        return look_up(frames, self._table)


class FlowClips(ClipStream):
    """Clips of quantized optical flow with 2 channels: to the right, down.

    Flow is computed on whole frames, then cut like pixels; mirrored crops have the opposite sign to
    the right. The flow of a frame leads to the next frame. The last frame repeats the flow before
    it, so that both modalities have equal numbers of frames and snippets. Whole snippets have the
    two channels of mirrored crops, or zeros, as their other channels.
    """

    channels = 2

    def __init__(
        self, recipe: Recipe, dtype: torch.dtype, estimator: FlowEstimator, *, whole: bool = False
    ) -> None:
        super().__init__(recipe, dtype, whole)
        assert recipe.flow is not None
        self._estimator = estimator
        self._quantise = QUANTISATIONS[recipe.flow.quantisation]
        self._frame: Tensor | None = None  # the last one, whose flow is not known yet
        self._flow: Tensor | None = None  # the last flow

    def push(self, frames: Tensor) -> Iterator[Tensor]:
        if self._frame is not None:
            frames = torch.cat((self._frame, frames))
        self._frame = frames[-1:]
        if len(frames) > 1:
            flow = self._estimator(frames)
            self._flow = flow[-1:]
            yield from self._push_flow(flow)

    def finish(self) -> Iterator[Tensor]:
        if self._frame is not None:
            flow = self._flow
            if flow is None:  # a video of one frame has no motion
                _, _, height, width = self._frame.shape
                flow = torch.zeros((1, 2, height, width), device=self._frame.device)
            yield from self._push_flow(flow)
        yield from super().finish()

    def _push_flow(self, flow: Tensor) -> Iterator[Tensor]:
        values = [self._quantise(flow)]
        if self._mirrors:  # the sign changes before quantization, which may not be symmetric
            signs = flow.new_tensor([-1, 1]).reshape(1, 2, 1, 1)
            values.append(self._quantise(flow * signs))
        yield from self._crops(self._cutter.push(self._channels_last(torch.cat(values, 1))))


def normalise(pixels: Tensor, method: Normalisation) -> Tensor:
    """Return normalized pixels in float32.

    Args:
        pixels: uint8 (n, 3, ...).
        method: "x*2/255-1" scales to [-1, 1]; "(x-114.75)/57.375" is that of Caffe2's networks; the
            others are (x / 255 - mean) / deviation per channel, as for torchvision's networks.
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
