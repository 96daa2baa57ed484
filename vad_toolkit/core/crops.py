"""Crops by name, where they lie, and the orders in which they are met in the field.

A crop is named by its place; "mirrored" is the same place of the mirrored frame (not the mirror of
the same pixels: the top left of the mirrored frame shows what was at the top right).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import InputError

CORNERS = ("top-left", "top-right", "bottom-left", "bottom-right", "center")
MIRRORED_SUFFIX = " mirrored"
MIRRORED = tuple(name + MIRRORED_SUFFIX for name in CORNERS)
CENTER = ("center",)


def _with_mirrored(*places: str) -> tuple[str, ...]:
    return places + tuple(place + MIRRORED_SUFFIX for place in places)


_GOWTHAM = ("top-left", "top-right", "center", "bottom-left", "bottom-right")
_DEEPMIL = ("center", "top-left", "top-right", "bottom-left", "bottom-right")

# Orders of ten crops, by the code that made them popular.
TEN_CROP_ORDERS: Mapping[str, tuple[str, ...]] = {
    "torchvision": _with_mirrored(*CORNERS),  # RTFM too
    "gowtham": _with_mirrored(*_GOWTHAM),  # UR-DMU's extractor and Finspire too
    "deepmil": _with_mirrored(*_DEEPMIL),  # XD-Violence too
    "mmaction2": tuple(name for place in CORNERS for name in (place, place + MIRRORED_SUFFIX)),
}
# The first, unmirrored half of each; MMAction2 has none of its own.
FIVE_CROP_ORDERS: Mapping[str, tuple[str, ...]] = {
    "torchvision": CORNERS,
    "gowtham": _GOWTHAM,
    "deepmil": _DEEPMIL,
}
ORDER_NAMES = tuple(TEN_CROP_ORDERS)


def crop_order(name: str, count: int) -> tuple[str, ...]:
    """The crops of an order by its name, for `count` = 10, 5 or 1 of them.

    Raises:
        InputError: no such order, or it has no form with so many crops.
    """
    if count == 1:
        return CENTER
    if name not in ORDER_NAMES:
        raise InputError(f"no crop order {name!r}; there are {', '.join(ORDER_NAMES)}")
    orders = {10: TEN_CROP_ORDERS, 5: FIVE_CROP_ORDERS}.get(count, {})
    if name not in orders:
        raise InputError(f"{count} crops have no order {name!r}; 10, 5 and 1 crops have orders")
    return orders[name]


def order_name(crops: Sequence[str]) -> str | None:
    """The name of an order of ten or five crops; None where it has none."""
    for orders in (TEN_CROP_ORDERS, FIVE_CROP_ORDERS):
        for name, known in orders.items():
            if tuple(crops) == known:
                return name
    return None


def check_crop_order(crops: tuple[str, ...]) -> tuple[str, ...]:
    """Give back `crops` when they are the ten, the five or the centre one, in any order.

    Raises:
        ValueError: they are not.
    """
    if sorted(crops) not in (sorted(CORNERS + MIRRORED), sorted(CORNERS), sorted(CENTER)):
        raise ValueError(
            f"crop_order has to name {', '.join(CORNERS)}, with or without each one followed by "
            "'mirrored', once each; or center alone"
        )
    return crops


def crop_index(have: Sequence[str], want: Sequence[str]) -> NDArray[np.intp]:
    """Where each of the crops in `want` stands in `have`: features[:, crop_index(have, want)].

    Raises:
        InputError: a crop of `want` is not there.
    """
    missing = [name for name in want if name not in have]
    if missing:
        raise InputError(f"there is no crop {missing[0]!r}; there are {', '.join(have)}")
    return np.array([list(have).index(name) for name in want], dtype=np.intp)


def crop_places(height: int, width: int, size: int) -> dict[str, tuple[int, int]]:
    """Top and left of the five crops of `size` pixels, by name, in a frame of such a size."""
    down, right = height - size, width - size
    return {
        "top-left": (0, 0),
        "top-right": (0, right),
        "bottom-left": (down, 0),
        "bottom-right": (down, right),
        "center": (round(down / 2), round(right / 2)),  # halves to even, as torchvision has it
    }
