"""Rounding to float16: every bit is that of NumPy, and the reported error is the true one."""

from __future__ import annotations

import numpy as np
import pytest

from vad_toolkit.interchange.layouts.feature_reader import LARGEST_RELATIVE, PIECE, HalfRounder


def near_halves() -> np.ndarray:
    """All float16 numbers as float32, and numbers at and around the midpoints between them."""
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    bits = halves[np.isfinite(halves)].astype(np.float32).view(np.uint32)
    around = [0, 1, 0x7FF, 0x800, 0xFFF, 0x1000, 0x1001, 0x1FFF]
    near = np.concatenate([bits + np.uint32(step) for step in around]).view(np.float32)
    return near[np.abs(near) <= 65504]


@pytest.mark.parametrize("keep", [slice(None), "positive", "tiny"])
def test_rounds_as_numpy_does(keep: object) -> None:
    numbers = near_halves()
    if keep == "positive":
        numbers = numbers[~np.signbit(numbers)]
    elif keep == "tiny":
        numbers = numbers[np.abs(numbers) < 2.0**-14]
    rounded = HalfRounder().round(numbers)
    np.testing.assert_array_equal(
        rounded.view(np.uint16), numbers.astype(np.float16).view(np.uint16)
    )


@pytest.mark.parametrize("kind", ["float32", "float64", ">f4"])
def test_error(kind: str) -> None:
    numbers = np.random.default_rng(0).gamma(0.5, 1, (3 * PIECE // 64 + 5, 4, 16)).astype(kind)
    rounder = HalfRounder()
    rounded = rounder.round(numbers)
    assert rounded.dtype == np.float16
    assert rounded.flags.c_contiguous
    check_error(rounder, rounded, numbers)


def check_error(rounder: HalfRounder, rounded: np.ndarray, numbers: np.ndarray) -> None:
    error = np.abs(rounded.astype(np.float64) - numbers)
    normal = np.abs(numbers) >= 2.0**-14
    relative = (error[normal] / np.abs(numbers[normal])).max(initial=0)
    assert rounder.absolute == error.max()
    assert rounder.relative == pytest.approx(relative, rel=1e-6)
    assert rounder.relative <= LARGEST_RELATIVE < 2.0**-11


@pytest.mark.parametrize("scale", [1, 1e-6, 3e4])
def test_error_once_its_bounds_were_met(scale: float) -> None:
    """Pieces of growing and of shrinking numbers, after one that meets both bounds."""
    rng = np.random.default_rng(0)
    met = np.full(PIECE, 1 + 2.0**-11)  # halfway between 1 and the next float16
    sizes = np.repeat([1, 2.0**-3, 2.0**-20, 1.7], PIECE)
    numbers = np.concatenate([met, sizes * scale * rng.random(4 * PIECE)]).astype(np.float32)
    rounder = HalfRounder()
    check_error(rounder, rounder.round(numbers), numbers)
    assert rounder.relative == LARGEST_RELATIVE
    np.testing.assert_array_equal(rounder.round(numbers), numbers.astype(np.float16))


def test_float16_stays_as_it_is() -> None:
    numbers = np.arange(6, dtype=np.float16).reshape(3, 2).T
    rounder = HalfRounder()
    np.testing.assert_array_equal(rounder.round(numbers), numbers)
    assert (rounder.absolute, rounder.relative) == (0, 0)


def test_the_largest_error_is_kept() -> None:
    rounder = HalfRounder()
    for number in (1.0, 1 + 2.0**-12, 1.0):
        rounder.round(np.array([number], np.float32))
    assert rounder.absolute == 2.0**-12


@pytest.mark.parametrize(
    ("number", "match"),
    [
        (np.float16(np.nan), "contains NaN"),
        (np.float16(np.inf), "contains infinity"),
        (np.float16(-np.inf), "contains infinity"),
        (np.float32(65505), "contains 65505, but float16 ends at 65504"),
        (np.float64(-1e30), r"contains 1e\+30, but float16 ends"),
    ],
)
@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_refused(kind: str, number: float, match: str) -> None:
    numbers = np.zeros(5, np.promote_types(kind, np.asarray(number).dtype))
    numbers[3] = number
    with pytest.raises(ValueError, match=match):
        HalfRounder().round(numbers)
