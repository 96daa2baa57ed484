"""The streams of a recipe: what each makes of frames, clip by clip, before its network reads them.

RGB is cut from resized frames. Flow is computed once on the whole resized frame, then cut the same
way, the horizontal component changing its sign in mirrored crops. The flow of a frame leads to the
next one; a video's last frame repeats the flow before it, so that both streams have equal frames
and equal snippets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from vad_toolkit.features.crops import SnippetCutter, crop_views, mirror_flow
from vad_toolkit.features.normalise import normalise
from vad_toolkit.features.recipe import Recipe, Stream
from vad_toolkit.flow.quantise import QUANTISATIONS
from vad_toolkit.flow.registry import FlowEstimator


class ClipStream(Protocol):
    """Resized frames of one video in, crops of its snippets out, C clips a snippet."""

    def push(self, frames: Tensor) -> Iterator[Tensor]:
        """Take frames, uint8 (n, 3, height, width); clips (snippet_frames, channels, size, size)
        in the order of snippets, then crops."""

    def finish(self) -> Iterator[Tensor]:
        """The clips that the end of the video adds."""


class RgbClips:
    """Clips of pixels, uint8, 3 channels."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._cutter = SnippetCutter(recipe)

    def push(self, frames: Tensor) -> Iterator[Tensor]:
        yield from self._crops(self._cutter.push(frames))

    def finish(self) -> Iterator[Tensor]:
        yield from self._crops(self._cutter.finish())

    def _crops(self, snippets: Iterator[Tensor]) -> Iterator[Tensor]:
        for snippet in snippets:
            yield from crop_views(snippet, self._recipe.crop_order, self._recipe.crop_size)


class FlowClips:
    """Clips of flow in pixels, float32, 2 channels."""

    def __init__(self, recipe: Recipe, estimator: FlowEstimator) -> None:
        self._recipe = recipe
        self._estimator = estimator
        self._cutter = SnippetCutter(recipe)
        self._frame: Tensor | None = None  # the last one, whose flow is not known yet
        self._flow: Tensor | None = None  # the flow before it

    def push(self, frames: Tensor) -> Iterator[Tensor]:
        if self._frame is not None:
            frames = torch.cat((self._frame, frames))
        self._frame = frames[-1:]
        if len(frames) > 1:
            flow = self._estimator(frames)
            self._flow = flow[-1:]
            yield from self._crops(self._cutter.push(flow))

    def finish(self) -> Iterator[Tensor]:
        if self._frame is not None:
            last = self._flow
            if last is None:  # a video of one frame, which goes nowhere
                _, _, height, width = self._frame.shape
                last = torch.zeros((1, 2, height, width), device=self._frame.device)
            yield from self._crops(self._cutter.push(last))
        yield from self._crops(self._cutter.finish())

    def _crops(self, snippets: Iterator[Tensor]) -> Iterator[Tensor]:
        order = self._recipe.crop_order
        for snippet in snippets:
            yield from mirror_flow(crop_views(snippet, order, self._recipe.crop_size), order)


def network_input(clips: Tensor, recipe: Recipe, stream: Stream, dtype: torch.dtype) -> Tensor:
    """Clips (n, frames, channels, size, size) to (n, channels, frames, size, size).

    Pixels are normalised and flow quantised in float32, and rounded to `dtype` once; memory is
    channels-last-3d.
    """
    planes = clips.transpose(1, 2)
    if stream == "rgb":
        values = normalise(planes, recipe.normalisation)
    else:
        assert recipe.flow is not None
        values = QUANTISATIONS[recipe.flow.quantisation](planes)
    return values.to(dtype=dtype, memory_format=torch.channels_last_3d)
