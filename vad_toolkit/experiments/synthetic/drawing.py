"""A canvas for plain shapes with smooth edges, colors, and grain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.experiments.synthetic.people import Camera, Color

Mask = NDArray[np.bool_]
Image = NDArray[np.float32]
Sides = tuple[float, float, float, float]
OVERSAMPLING = 2  # samples per pixel and direction, to smooth edges


class Canvas:
    """A picture; x is counted from the middle, y from the top, both in picture heights."""

    def __init__(self, height: int, width: int, camera: Camera) -> None:
        self._height, self._camera = height, camera
        rows, columns = height * OVERSAMPLING, width * OVERSAMPLING
        self._image = np.zeros((rows, columns, 3), dtype=np.float32)
        self._y = ((np.arange(rows, dtype=np.float32) + 0.5) / rows)[:, None]
        self._x = (np.arange(columns, dtype=np.float32)[None, :] + 0.5 - columns / 2) / rows

    def finish(self) -> Image:
        """Return the picture at its final size, (height, width, 3)."""
        rows, columns, _ = self._image.shape
        n = OVERSAMPLING
        blocks = self._image.reshape(rows // n, n, columns // n, n, 3)
        return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)

    def scale_at(self, y: float) -> float:
        """Return picture heights per body height at the ground in row `y`."""
        return (y - self._camera.horizon_y / self._height) / self._camera.height

    def row_at(self, away: float) -> float:
        """Return the row of ground at `away` body heights from the camera."""
        camera = self._camera
        return (camera.horizon_y + camera.focal * camera.height / away) / self._height

    def ground(self) -> tuple[Image, Image]:
        """Return the ground coordinates, across and away, of every sample below the horizon."""
        camera = self._camera
        drop = np.maximum(self._y - camera.horizon_y / self._height, 1e-3)
        away = camera.focal / self._height * camera.height / drop
        across = self._x * away * self._height / camera.focal
        return across.astype(np.float32), np.broadcast_to(away, across.shape)

    def rows(self, top: float, bottom: float) -> Mask:
        """Return the samples between two rows."""
        return np.broadcast_to((self._y >= top) & (self._y < bottom), self._image.shape[:2])

    def fill(self, mask: Mask, color: Color) -> None:
        """Paint all samples of a mask."""
        self._image[mask] = color

    def rectangle(self, left: float, top: float, right: float, bottom: float, color: Color) -> None:
        """Paint an upright rectangle."""
        self.trapezium((left, right, left, right), top, bottom, color)

    def trapezium(self, sides: Sides, top: float, bottom: float, color: Color) -> None:
        """Paint a trapezium: x of top left, top right, bottom left and bottom right, and y."""
        top_left, top_right, bottom_left, bottom_right = sides
        share = np.clip((self._y - top) / max(bottom - top, 1e-6), 0, 1)
        left = top_left + share * (bottom_left - top_left)
        right = top_right + share * (bottom_right - top_right)
        inside = (self._x >= left) & (self._x < right)
        self.fill(inside & (self._y >= top) & (self._y < bottom), color)

    def ellipse(self, x: float, y: float, half_x: float, half_y: float, color: Color) -> None:
        """Paint an ellipse around a point."""
        self.fill(((self._x - x) / half_x) ** 2 + ((self._y - y) / half_y) ** 2 < 1, color)

    def speckle(self, rng: np.random.Generator, cell: float, strength: float) -> None:
        """Multiply by smooth noise with grains of `cell` picture heights."""
        rows, columns, _ = self._image.shape
        size = max(round(cell * rows), 1)
        grid = rng.uniform(-1, 1, size=(rows // size + 2, columns // size + 2)).astype(np.float32)
        down = _stretch(grid, np.arange(rows) / size, axis=0)
        self._image *= (1 + strength * _stretch(down, np.arange(columns) / size, axis=1))[..., None]


def _stretch(grid: Image, at: NDArray[np.float64], axis: int) -> Image:
    """Interpolate `grid` linearly along one axis."""
    low = np.floor(at).astype(int)
    share = (at - low).astype(np.float32)
    share = share[:, None] if axis == 0 else share[None, :]
    first, second = grid.take(low, axis=axis), grid.take(low + 1, axis=axis)
    return np.asarray(first + share * (second - first))


def shade(color: Color, rng: np.random.Generator, spread: float) -> Color:
    """Return a random color near `color`; brightness and channels vary by up to `spread`."""
    factors = (1 + rng.uniform(-spread, spread) / 2) * (1 + rng.uniform(-spread, spread, 3) / 2)
    red, green, blue = np.clip(np.array(color) * factors, 0, 255)
    return float(red), float(green), float(blue)


def dim(color: Color, factor: float) -> Color:
    """Return a color that is darker or lighter by a factor."""
    red, green, blue = (min(channel * factor, 255.0) for channel in color)
    return red, green, blue


NOISE_LEVEL = 2.5  # standard deviation, in gray levels


class Grain:
    """A field of noise; every frame gets a random part of it."""

    def __init__(self, height: int, width: int, rng: np.random.Generator) -> None:
        """Draw the field; `rng` is used again for every frame."""
        noise = rng.normal(0, NOISE_LEVEL, size=(2 * height, 2 * width, 1))
        self._noise = noise.astype(np.float32)
        self._height, self._width, self._rng = height, width, rng

    def over(self, image: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Add grain to `image` (height, width, 3), which is changed, and return it as uint8."""
        top, left = self._rng.integers(self._height), self._rng.integers(self._width)
        image += self._noise[top : top + self._height, left : left + self._width]
        return np.clip(image, 0, 255, out=image).astype(np.uint8)
