"""Which of a video's frames a recipe takes, as they come."""

from __future__ import annotations

import torch
from torch import Tensor

from vad_toolkit.errors import DecodeError, InputError
from vad_toolkit.features.recipe import Recipe


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
