"""Snippets of a stream of frames, their crops, and resampling to a recipe's frame rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from vad_toolkit.core.crops import MIRRORED_SUFFIX, crop_places
from vad_toolkit.errors import DecodeError, InputError
from vad_toolkit.recipes.recipe import Recipe


class SnippetCutter:
    """Cutter of a stream of frames (n, ...) into snippets (snippet_frames, ...).

    It yields `recipe.snippet_count(frames)` snippets in all, and holds at most one snippet and one
    chunk of frames.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._held: list[Tensor] = []
        self._count = 0

    def push(self, frames: Tensor) -> Iterator[Tensor]:
        """Take the next frames, of any number, and yield the snippets that they complete."""
        length, step = self.recipe.snippet_frames, self.recipe.step
        needed = length + (self.recipe.tail == "drop-next")
        self._held.append(frames)
        self._count += len(frames)
        while self._count >= needed:
            held = torch.cat(self._held) if len(self._held) > 1 else self._held[0]
            yield held[:length]
            self._held = [held[step:]] if len(held) > step else []  # an empty view keeps all
            self._count -= step

    def finish(self) -> Iterator[Tensor]:
        """Yield the snippets of the remaining frames by the tail rule; `loop` repeats them."""
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
    """Return the crops of a snippet as views (frames, size, size, channels).

    Args:
        snippet: (frames, height, width, channels), at least `size` pixels high and wide.
        mirrored: The mirrored snippet, or None if no crop is mirrored.
        crop_order: Names of crops, as in `crops.TEN_CROP_ORDERS`.
        size: Of a crop, in pixels.
    """
    places = crop_places(snippet.shape[1], snippet.shape[2], size)
    views = []
    for name in crop_order:
        source = mirrored if name.endswith(MIRRORED_SUFFIX) else snippet
        assert source is not None
        top, left = places[name.removesuffix(MIRRORED_SUFFIX)]
        views.append(source[:, top : top + size, left : left + size])
    return views


class FrameTaker:
    """Selector of the frames of one video by `Recipe.taken_frames`; a frame may be taken twice.

    Raises DecodeError if the recipe resamples and the video has no frame rate (`fps` is 0).
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
        """Return those of the next frames (n, ...) that are taken, (m, ...)."""
        if self._recipe.frame_rate is None:
            return frames
        first, self._seen = self._seen, self._seen + len(frames)
        indices = self._recipe.taken_frames(self._seen, self._fps, self._taken)
        self._taken += len(indices)
        return frames[torch.from_numpy(indices - first)]
