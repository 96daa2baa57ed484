"""The streams of a recipe: what each makes of frames, clip by clip.

RGB is normalised pixels. Flow is computed once on the whole resized frame, then cut the same way,
the horizontal component changing its sign in mirrored crops. The flow of a frame leads to the next
one; a video's last frame repeats the flow before it, so that both streams have equal frames and
equal snippets.

Values are made once a frame, in float32, and rounded to the network's type once; crops are views of
them. Memory is frame by frame, channels last, so that a batch is one copy and already lies as
convolutions want it (channels-last-3d). Networks that cut crops themselves (`inception_overlap`,
`inception_gpu`) get whole snippets, of four channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from vad_toolkit.core.crops import MIRRORED_SUFFIX
from vad_toolkit.extraction.normalise import normalise
from vad_toolkit.extraction.snippets import SnippetCutter, crop_views
from vad_toolkit.flow.estimator import FlowEstimator
from vad_toolkit.flow.quantise import QUANTISATIONS
from vad_toolkit.recipes.recipe import Recipe

WHOLE_CHANNELS = 4
ACROSS = 2  # the axis of (frames, height, width, channels) that mirroring turns around


class ClipStream(Protocol):
    """Resized frames of one video in, crops of its snippets out, C clips a snippet.

    Or whole snippets out, where it was made so.
    """

    def push(self, frames: Tensor) -> Iterator[Tensor]:
        """Take frames, uint8 (n, 3, height, width); clips (snippet_frames, size, size, channels)
        in the order of snippets, then crops; or snippets (snippet_frames, height, width, 4)."""

    def finish(self) -> Iterator[Tensor]:
        """The clips that the end of the video adds."""


class RgbClips:
    """Clips of normalised pixels, 3 channels; of whole snippets the fourth is 0."""

    def __init__(self, recipe: Recipe, dtype: torch.dtype, *, whole: bool = False) -> None:
        self._recipe = recipe
        self._dtype = dtype
        self._whole = whole
        self._cutter = SnippetCutter(recipe)
        self._mirrors = _has_mirrored(recipe)
        self._table: Tensor | None = None  # of a whole snippet's values

    def push(self, frames: Tensor) -> Iterator[Tensor]:
        if self._whole and frames.is_cuda:
            made = self._look_up(frames)
        else:
            values = normalise(frames, self._recipe.normalisation)
            made = _channels_last(values, self._dtype, WHOLE_CHANNELS if self._whole else 3)
        yield from self._crops(self._cutter.push(made))

    def _look_up(self, frames: Tensor) -> Tensor:
        """Normalised frames of four channels: one pass, where the arithmetic would take six."""
        # Here, since without a CUDA device there may be no Triton.
        from vad_toolkit.backbones.triton_kernels import look_up

        if self._table is None:
            every = torch.arange(256, device=frames.device).expand(1, 3, 256)
            table = normalise(every, self._recipe.normalisation)[0].to(self._dtype)
            self._table = torch.cat((table, torch.zeros_like(table[:1])))
        return look_up(frames, self._table)

    def finish(self) -> Iterator[Tensor]:
        yield from self._crops(self._cutter.finish())

    def _crops(self, snippets: Iterator[Tensor]) -> Iterator[Tensor]:
        if self._whole:
            yield from snippets
            return
        recipe = self._recipe
        for snippet in snippets:
            mirrored = snippet.flip(ACROSS) if self._mirrors else None
            yield from crop_views(snippet, mirrored, recipe.crop_order, recipe.crop_size)


class FlowClips:
    """Clips of quantised flow, 2 channels: to the right, down.

    Of whole snippets the other two are the same as mirrored crops have them, or 0.
    """

    def __init__(
        self,
        recipe: Recipe,
        dtype: torch.dtype,
        estimator: FlowEstimator,
        *,
        whole: bool = False,
    ) -> None:
        assert recipe.flow is not None
        self._recipe = recipe
        self._dtype = dtype
        self._whole = whole
        self._estimator = estimator
        self._quantise = QUANTISATIONS[recipe.flow.quantisation]
        self._cutter = SnippetCutter(recipe)
        self._mirrors = _has_mirrored(recipe)
        self._frame: Tensor | None = None  # the last one, whose flow is not known yet
        self._flow: Tensor | None = None  # the flow before it

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
            last = self._flow
            if last is None:  # a video of one frame, which goes nowhere
                _, _, height, width = self._frame.shape
                last = torch.zeros((1, 2, height, width), device=self._frame.device)
            yield from self._push_flow(last)
        yield from self._crops(self._cutter.finish())

    def _push_flow(self, flow: Tensor) -> Iterator[Tensor]:
        values = [self._quantise(flow)]
        if self._mirrors:  # the sign changes before quantisation, which need not be even
            signs = flow.new_tensor([-1, 1]).reshape(1, 2, 1, 1)
            values.append(self._quantise(flow * signs))
        channels = WHOLE_CHANNELS if self._whole else 2 * len(values)
        made = _channels_last(torch.cat(values, 1), self._dtype, channels)
        yield from self._crops(self._cutter.push(made))

    def _crops(self, snippets: Iterator[Tensor]) -> Iterator[Tensor]:
        if self._whole:
            yield from snippets
            return
        recipe = self._recipe
        for snippet in snippets:
            mirrored = snippet[..., 2:].flip(ACROSS) if self._mirrors else None
            yield from crop_views(snippet[..., :2], mirrored, recipe.crop_order, recipe.crop_size)


def _has_mirrored(recipe: Recipe) -> bool:
    return any(name.endswith(MIRRORED_SUFFIX) for name in recipe.crop_order)


def _channels_last(values: Tensor, dtype: torch.dtype, channels: int) -> Tensor:
    """(n, c, height, width) to (n, height, width, channels), as it lies in memory; the rest 0."""
    n, own, height, width = values.shape
    made = torch.empty((n, height, width, channels), dtype=dtype, device=values.device)
    made[..., :own] = values.permute(0, 2, 3, 1)
    made[..., own:] = 0
    return made
