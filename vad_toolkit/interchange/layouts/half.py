"""Rounding to float16, with its error measured: published features are float32, packs float16.

NumPy's own cast runs at a third of the speed that the steps below reach, and a second pass over the
data would have to measure the error. A number is rounded by adding a power of two that leaves no
room for more than its first 11 significant bits (24 bits after the point for numbers below the
smallest normal float16); what is left in the sum are float16's bits. The relative error has a
bound, which one in about ten million numbers meets: from then on only numbers are measured that are
large enough to have a larger absolute error than was found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 65504.0  # of float16
SMALLEST_NORMAL = 2.0**-14  # below it, float16 has a step of 2 ** -24, not 11 bits
PIECE = 1 << 16  # numbers worked on at a time: all steps stay in the processor's cache

# Of a number halfway between a power of two and the next float16.
LARGEST_RELATIVE = float(np.float32(2.0**-11) / np.float32(1 + 2.0**-11))

_EXPONENT = np.uint32(0x7F800000)
_MAGNITUDE = np.uint32(0x7FFFFFFF)
_LEAD = np.uint32(13 << 23)  # float32 has 13 more significant bits than float16
_BIAS = np.uint32(126 << 10)  # what the exponents of both steps add up to, in float16's place


@dataclass
class Rounding:
    """The largest error met so far.

    `relative` is of numbers from 2 ** -14 on, a share of the number: below, float16 has a fixed
    step, of 2 ** -24, and a share says nothing.
    """

    absolute: float = 0.0
    relative: float = 0.0

    def add(self, absolute: float, relative: float) -> None:
        """Take in one more error."""
        self.absolute = max(self.absolute, absolute)
        self.relative = max(self.relative, relative)


class HalfRounder:
    """Rounds arrays to the nearest float16, ties to even, exactly as NumPy casts them.

    `rounding` is the largest error of all of them. One thread uses it.
    """

    def __init__(self) -> None:
        self.rounding = Rounding()
        self._power = np.empty(PIECE, np.uint32)
        self._sum = np.empty(PIECE, np.float32)

    def round(self, numbers: NDArray[np.floating[Any]]) -> NDArray[np.float16]:
        """`numbers` as a new float16 array of the same shape, in C order.

        Args:
            numbers : np.ndarray [float16, float32 or float64, any shape].

        Raises:
            ValueError: it holds NaN, infinity or a number over 65504; says which.
        """
        if numbers.dtype == np.float16:
            _check_range(numbers)
            return np.ascontiguousarray(numbers)
        if numbers.dtype != np.float32:
            return self._round_wide(numbers)
        source = np.ascontiguousarray(numbers).reshape(-1)
        out = np.empty(source.size, np.float16)
        for start in range(0, source.size, PIECE):
            self._round_piece(source[start : start + PIECE], out[start : start + PIECE])
        return out.reshape(numbers.shape)

    def _round_piece(self, source: NDArray[np.float32], out: NDArray[np.float16]) -> None:
        bits, signed = source.view(np.uint32), bool(source.view(np.int32).min() < 0)
        magnitude = (bits & _MAGNITUDE).view(np.float32) if signed else source
        largest = float(magnitude.max())
        if not largest <= LARGEST:
            _check_range(source)
        size = source.size
        power, total = self._power[:size], self._sum[:size]

        np.clip(magnitude, SMALLEST_NORMAL, LARGEST, out=total)
        np.bitwise_and(total.view(np.uint32), _EXPONENT, out=power)
        power += _LEAD
        np.add(magnitude, power.view(np.float32), out=total)  # rounds, ties to even
        if self.rounding.relative < LARGEST_RELATIVE:
            self._measure(magnitude, total - power.view(np.float32))
        elif largest >= (worse := self._first_worse()):
            few = np.flatnonzero(magnitude >= worse)
            self._measure(magnitude[few], total[few] - power.view(np.float32)[few])

        halves = total.view(np.uint32)
        halves -= power
        power >>= np.uint32(13)
        halves += power
        halves -= _BIAS
        if signed:
            halves |= (bits >> np.uint32(16)) & np.uint32(0x8000)
        np.copyto(out.view(np.uint16), halves, casting="unsafe")

    def _measure(
        self, magnitude: NDArray[np.floating[Any]], rounded: NDArray[np.floating[Any]]
    ) -> None:
        error = np.abs(rounded - magnitude)
        normal = magnitude >= SMALLEST_NORMAL
        relative = error[normal] / magnitude[normal]
        self.rounding.add(float(error.max(initial=0)), float(relative.max(initial=0)))

    def _first_worse(self) -> float:
        """The smallest number whose error could pass the largest so far: half a step of float16."""
        return float(2.0 ** (math.frexp(self.rounding.absolute)[1] + 11))

    def _round_wide(self, numbers: NDArray[np.floating[Any]]) -> NDArray[np.float16]:
        _check_range(numbers)
        out = numbers.astype(np.float16, order="C")
        self._measure(np.abs(numbers), np.abs(out.astype(np.float64)))
        return out


def _check_range(numbers: NDArray[np.floating[Any]]) -> None:
    """Raises ValueError where a number is no finite float16."""
    if np.isnan(numbers).any():
        raise ValueError("it holds NaN")
    if np.isinf(numbers).any():
        raise ValueError("it holds infinity")
    largest = float(np.abs(numbers).max(initial=0))
    if largest > LARGEST:
        raise ValueError(f"it holds {largest:g}, and float16 ends at 65504")
