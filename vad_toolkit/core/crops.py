"""Names and positions of crops, and the crop orders of well-known feature extractors.

A crop is named after its position. "top-left mirrored" is the top left of the mirrored frame: it
shows the pixels that are at the top right of the original.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.errors import InputError

CORNERS = ("top-left", "top-right", "bottom-left", "bottom-right", "center")
MIRRORED_SUFFIX = " mirrored"
CENTER = ("center",)


# Orders of crops, named after the code that made them popular.
FIVE_CROP_ORDERS: Mapping[str, tuple[str, ...]] = {
    "torchvision": CORNERS,  # also RTFM
    "gowtham": ("top-left", "top-right", "center", "bottom-left", "bottom-right"),  # also UR-DMU
    "deepmil": (
        "center",
        "top-left",
        "top-right",
        "bottom-left",
        "bottom-right",
    ),  # also XD-Violence
}
TEN_CROP_ORDERS: Mapping[str, tuple[str, ...]] = {
    **{
        name: order + tuple(place + MIRRORED_SUFFIX for place in order)
        for name, order in FIVE_CROP_ORDERS.items()
    },
    "mmaction2": tuple(name for place in CORNERS for name in (place, place + MIRRORED_SUFFIX)),
}
ORDER_NAMES = tuple(TEN_CROP_ORDERS)


def crop_order(name: str, count: int) -> tuple[str, ...]:
    """Return the names of 10, 5 or 1 crops in a named order, which one crop does not need.

    Raises InputError if there is no such order for this number of crops.
    """
    if count == 1:
        return CENTER
    if name not in ORDER_NAMES:
        raise InputError(f"unknown crop order {name!r}; available: {', '.join(ORDER_NAMES)}")
    orders = {10: TEN_CROP_ORDERS, 5: FIVE_CROP_ORDERS}.get(count)
    if orders is None:
        raise InputError(f"{count} crops have no order {name!r}; the number must be 10, 5 or 1")
    if name not in orders:
        raise InputError(f"{count} crops have no order {name!r}; available: {', '.join(orders)}")
    return orders[name]


def order_name(crops: Sequence[str]) -> str | None:
    """Return the name of an order of ten or five crops, or None if it has no name."""
    orders = (*TEN_CROP_ORDERS.items(), *FIVE_CROP_ORDERS.items())
    return next((name for name, known in orders if known == tuple(crops)), None)


def check_crop_order(crops: tuple[str, ...]) -> tuple[str, ...]:
    """Return `crops`. Raises ValueError if they are not ten, five or one center, in any order."""
    if sorted(crops) not in (
        sorted(TEN_CROP_ORDERS["torchvision"]),
        sorted(CORNERS),
        sorted(CENTER),
    ):
        raise ValueError(
            f"crop_order must name {', '.join(CORNERS)} once each; or these and each of them "
            "followed by ' mirrored'; or only center"
        )
    return crops


def crop_index(have: Sequence[str], want: Sequence[str]) -> NDArray[np.intp]:
    """Return the position in `have` of each crop in `want`: features[:, crop_index(have, want)].

    Raises InputError if a crop of `want` is missing in `have`.
    """
    missing = [name for name in want if name not in have]
    if missing:
        raise InputError(f"unknown crop {missing[0]!r}; available: {', '.join(have)}")
    return np.array([list(have).index(name) for name in want], dtype=np.intp)


def crop_places(height: int, width: int, size: int) -> dict[str, tuple[int, int]]:
    """Return the top and left pixel of each of the five crops of `size` x `size` pixels by name."""
    down, right = height - size, width - size
    return {
        "top-left": (0, 0),
        "top-right": (0, right),
        "bottom-left": (down, 0),
        "bottom-right": (down, right),
        "center": (round(down / 2), round(right / 2)),  # halves to even, as in torchvision
    }
