"""Snippets and crops: which frames, which pixels, in which order, all on the frames' device.

Crops are named by their place, as torchvision cuts them (`five_crop`): a mirrored crop is that
place in the mirrored frame. Frames stay uint8 until the network reads them, so that what crosses to
a device and what waits there is a quarter of the float size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from vad_toolkit.features.crop_order import MIRRORED_SUFFIX
from vad_toolkit.features.recipe import Recipe


class SnippetCutter:
    """Cuts a stream of frames into snippets, holding no more than a snippet and a chunk.

    Frames are tensors (n, channels, height, width), of any n; snippets are (snippet_frames, ...),
    `recipe.snippet_count(frames)` of them in all.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._held: list[Tensor] = []
        self._count = 0

    def push(self, frames: Tensor) -> Iterator[Tensor]:
        """Take the next frames; the snippets that are complete with them."""
        length, step = self.recipe.snippet_frames, self.recipe.step
        needed = length + (self.recipe.tail == "drop-next")
        self._held.append(frames)
        self._count += len(frames)
        while self._count >= needed:
            held = torch.cat(self._held) if len(self._held) > 1 else self._held[0]
            yield held[:length]
            self._held = [held[step:]]
            self._count -= step

    def finish(self) -> Iterator[Tensor]:
        """What the tail rule makes of the frames that are left: `loop` repeats them."""
        length, step = self.recipe.snippet_frames, self.recipe.step
        if self.recipe.tail != "loop" or not self._count:
            return
        frames = torch.cat(self._held)
        self._held, self._count = [], 0
        while len(frames):
            yield frames[torch.arange(length, device=frames.device) % len(frames)]
            frames = frames[step:]


def crop_views(snippet: Tensor, crop_order: Sequence[str], size: int) -> Tensor:
    """Cut a snippet (frames, channels, height, width) into crops (C, frames, channels, size, size).

    Args:
        snippet: at least `size` pixels high and wide.
        crop_order: the crops by name, as `crop_order.CORNERS` and `MIRRORED` have them.
        size: pixels of a crop's side.
    """
    height, width = snippet.shape[-2:]
    down, right = height - size, width - size
    places = {
        "top-left": (0, 0),
        "top-right": (0, right),
        "bottom-left": (down, 0),
        "bottom-right": (down, right),
        "center": (round(down / 2), round(right / 2)),  # halves to even, as torchvision has it
    }
    views = []
    for name in crop_order:
        top, left = places[name.removesuffix(MIRRORED_SUFFIX)]
        if name.endswith(MIRRORED_SUFFIX):  # a place in the mirrored frame, seen from this one
            left = width - size - left
        view = snippet[..., top : top + size, left : left + size]
        views.append(view.flip(-1) if name.endswith(MIRRORED_SUFFIX) else view)
    return torch.stack(views)


def mirror_flow(crops: Tensor, crop_order: Sequence[str]) -> Tensor:
    """Change the sign of horizontal flow in mirrored crops (C, frames, 2, size, size), in place."""
    for crop, name in zip(crops, crop_order, strict=True):
        if name.endswith(MIRRORED_SUFFIX):
            crop[:, 0].neg_()
    return crops
