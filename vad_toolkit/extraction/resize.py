"""Resizing of frames on their device, before crops are cut.

Two methods equal Pillow's bit for bit on any device: Pillow's filters are fixed-point sums, which
float64 matrix products represent exactly, because no sum comes near 2**53.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from vad_toolkit.recipes.recipe import ResizeMethod

FRACTION_BITS = 22  # of Pillow's coefficients, for 8-bit pixels
Kernel = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def _triangle(x: NDArray[np.float64]) -> NDArray[np.float64]:
    triangle: NDArray[np.float64] = np.maximum(1 - np.abs(x), 0)
    return triangle


def _lanczos(x: NDArray[np.float64]) -> NDArray[np.float64]:
    windowed: NDArray[np.float64] = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)
    return windowed


PILLOW: dict[str, tuple[Kernel, float]] = {  # method -> kernel, and its radius
    "bilinear-pillow": (_triangle, 1.0),
    "lanczos-pillow": (_lanczos, 3.0),
}


def resize_frames(
    frames: Tensor, resize: int | tuple[int, int], method: ResizeMethod = "bilinear-antialias-uint8"
) -> Tensor:
    """Resize frames, uint8 (n, height, width, 3), and return uint8 (n, 3, height, width).

    Args:
        frames: The frames, as decoders return them.
        resize: Pixels of the short side, keeping the aspect and rounding the long side down; or
            (width, height).
        method: torchvision's bilinear filter with or without antialiasing, or one of Pillow's.
    """
    height, width = target_size(frames.shape[1], frames.shape[2], resize)
    planes = frames.permute(0, 3, 1, 2)
    if method not in PILLOW:
        return _bilinear(planes, (height, width), method == "bilinear-antialias-uint8")
    # Like Pillow: rows first, rounded in between; a side that keeps its length is left alone.
    if width != planes.shape[3]:
        planes = _fixed_point(planes.double() @ _weights(planes.shape[3], width, method, planes))
    if height != planes.shape[2]:
        weights = _weights(planes.shape[2], height, method, planes)
        planes = _fixed_point(weights.T @ planes.double())
    return planes


def _bilinear(planes: Tensor, size: tuple[int, int], antialias: bool) -> Tensor:
    """Resize uint8 planes with the same result as `torchvision.transforms.v2.functional.resize`.

    torchvision itself takes seconds to import. Like it, this computes in integers on CPUs that have
    the instructions for it, and otherwise in float32.
    """
    if planes.shape[2:] == size:
        return planes
    in_integers = planes.device.type == "cpu" and (
        torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
        or platform.machine() in ("aarch64", "arm64")
    )
    resized = interpolate(
        planes if in_integers else planes.float(),
        size,
        mode="bilinear",
        align_corners=False,
        antialias=antialias,
    )
    return resized if in_integers else resized.round_().byte()


def target_size(height: int, width: int, resize: int | tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) of a resized frame."""
    if isinstance(resize, tuple):
        return resize[1], resize[0]
    if width < height:
        return int(resize * height / width), resize
    return resize, int(resize * width / height)


def _fixed_point(sums: Tensor) -> Tensor:
    """Return pixels from sums of pixels times integer coefficients, rounded as in Pillow."""
    return sums.add_(2 ** (FRACTION_BITS - 1)).div_(2**FRACTION_BITS).floor_().clamp_(0, 255).byte()


def _weights(before: int, after: int, method: str, like: Tensor) -> Tensor:
    return torch.from_numpy(_coefficients(before, after, method)).to(like.device)


@lru_cache(maxsize=64)
def _coefficients(before: int, after: int, method: str) -> NDArray[np.float64]:
    """Return Pillow's integer coefficients of one axis, (before, after): column i gives pixel i."""
    kernel, reach = PILLOW[method]
    scale = before / after
    widen = max(scale, 1.0)  # antialiasing: the kernel covers all pixels that become one
    table = np.zeros((before, after))
    for index in range(after):
        center = (index + 0.5) * scale
        first = max(int(center - reach * widen + 0.5), 0)
        last = min(int(center + reach * widen + 0.5), before)
        places = np.asarray((np.arange(first, last) - center + 0.5) / widen, np.float64)
        taps = kernel(places)
        taps = taps / taps.sum() * 2**FRACTION_BITS
        table[first:last, index] = np.trunc(taps + np.copysign(0.5, taps))
    return table
