"""Sensor noise: what keeps a still scene from being one and the same picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NOISE_LEVEL = 2.5  # standard deviation, in grey levels


class Grain:
    """One field of noise, of which each frame gets another part."""

    def __init__(self, height: int, width: int, rng: np.random.Generator) -> None:
        """`rng` is drawn from again by every frame."""
        noise = rng.normal(0, NOISE_LEVEL, size=(2 * height, 2 * width, 1))
        self._noise = noise.astype(np.float32)
        self._height, self._width, self._rng = height, width, rng

    def over(self, image: NDArray[np.float32]) -> NDArray[np.uint8]:
        """A frame of `image` (height, width, 3), which is changed."""
        top, left = self._rng.integers(self._height), self._rng.integers(self._width)
        image += self._noise[top : top + self._height, left : left + self._width]
        return np.clip(image, 0, 255, out=image).astype(np.uint8)
