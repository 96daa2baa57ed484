"""Snippets and their crops: which frames, which pixels, in which order, on the frames' device.

Crops are named by their place, as torchvision cuts them (`five_crop`): a mirrored crop is that
place in the mirrored frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from vad_toolkit.core.crops import MIRRORED_SUFFIX, crop_places
from vad_toolkit.errors import DecodeError, InputError
from vad_toolkit.recipes.recipe import Recipe


class SnippetCutter:
    """Cuts a stream of frames into snippets, holding no more than a snippet and a chunk.

    Frames are tensors (n, ...), of any n; snippets are (snippet_frames, ...), and there are
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
            self._held = [held[step:]] if len(held) > step else []  # no copy for no frames
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


def crop_views(
    snippet: Tensor, mirrored: Tensor | None, crop_order: Sequence[str], size: int
) -> list[Tensor]:
    """The crops of a snippet, each a view (frames, size, size, channels).

    Args:
        snippet: (frames, height, width, channels), at least `size` pixels high and wide.
        mirrored: the same, mirrored; None where no crop is.
        crop_order: the crops by name, as `crops.CORNERS` and `MIRRORED` have them.
        size: pixels of a crop's side.
    """
    places = crop_places(snippet.shape[1], snippet.shape[2], size)
    views = []
    for name in crop_order:
        source = mirrored if name.endswith(MIRRORED_SUFFIX) else snippet
        assert source is not None
        top, left = places[name.removesuffix(MIRRORED_SUFFIX)]
        views.append(source[:, top : top + size, left : left + size])
    return views


# Which of a video's frames a recipe takes, as they come.


class FrameTaker:
    """Takes the frames of one video that `Recipe.taken_frames` names; some may be taken twice.

    Args:
        recipe: whose `frame_rate` is wanted.
        fps: frames a second of the video; 0 where it states none.

    Raises:
        DecodeError: the recipe resamples, and the video states no frame rate.
    """

    def __init__(self, recipe: Recipe, fps: float) -> None:
        self._recipe = recipe
        self._fps = fps
        self._seen = 0
        self._taken = 0
        try:
            recipe.taken_frames(1, fps)
        except InputError as error:
            raise DecodeError(str(error)) from error

    def take(self, frames: Tensor) -> Tensor:
        """The next frames (n, ...) of the video; those that are taken, (m, ...)."""
        if self._recipe.frame_rate is None:
            return frames
        first, self._seen = self._seen, self._seen + len(frames)
        indices = self._recipe.taken_frames(self._seen, self._fps, self._taken)
        self._taken += len(indices)
        return frames[torch.from_numpy(indices - first)]
