"""Orders of crops: names, conversion by name, and errors."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from vad_toolkit.core.crops import (
    CENTER,
    FIVE_CROP_ORDERS,
    ORDER_NAMES,
    TEN_CROP_ORDERS,
    check_crop_order,
    crop_index,
    crop_order,
    order_name,
)
from vad_toolkit.errors import InputError


@pytest.mark.parametrize(("here", "there"), list(permutations(ORDER_NAMES, 2)))
def test_each_pair_of_ten_crop_orders(here: str, there: str) -> None:
    have, want = TEN_CROP_ORDERS[here], TEN_CROP_ORDERS[there]
    assert have != want
    features = np.array(have)[None, :, None]  # a crop's name stands for its features
    converted = features[:, crop_index(have, want)]
    assert tuple(converted[0, :, 0]) == want
    back = converted[:, crop_index(want, have)]
    np.testing.assert_array_equal(back, features)


@pytest.mark.parametrize(("here", "there"), list(permutations(FIVE_CROP_ORDERS, 2)))
def test_each_pair_of_five_crop_orders(here: str, there: str) -> None:
    have, want = FIVE_CROP_ORDERS[here], FIVE_CROP_ORDERS[there]
    assert tuple(np.array(have)[crop_index(have, want)]) == want


def test_the_orders_as_they_are_met() -> None:
    short = {"top-left": "TL", "top-right": "TR", "bottom-left": "BL", "bottom-right": "BR"}

    def letters(name: str) -> str:
        places = [crop.removesuffix(" mirrored") for crop in TEN_CROP_ORDERS[name]]
        marks = ["'" if "mirrored" in crop else "" for crop in TEN_CROP_ORDERS[name]]
        named = (short.get(place, "C") for place in places)
        return " ".join(f"{place}{mark}" for place, mark in zip(named, marks, strict=True))

    assert letters("torchvision") == "TL TR BL BR C TL' TR' BL' BR' C'"
    assert letters("gowtham") == "TL TR C BL BR TL' TR' C' BL' BR'"
    assert letters("deepmil") == "C TL TR BL BR C' TL' TR' BL' BR'"
    assert letters("mmaction2") == "TL TL' TR TR' BL BL' BR BR' C C'"


@pytest.mark.parametrize("name", ORDER_NAMES)
def test_names(name: str) -> None:
    assert order_name(crop_order(name, 10)) == name
    assert crop_order(name, 1) == CENTER
    if name in FIVE_CROP_ORDERS:
        assert order_name(crop_order(name, 5)) == name
        assert crop_order(name, 10)[:5] == crop_order(name, 5)


def test_an_order_without_a_name() -> None:
    assert order_name(TEN_CROP_ORDERS["torchvision"][::-1]) is None


@pytest.mark.parametrize(
    ("name", "count", "match"),
    [
        (
            "rtfm",
            10,
            "unknown crop order 'rtfm'; available: torchvision, gowtham, deepmil, mmaction2",
        ),
        (
            "mmaction2",
            5,
            "5 crops have no order 'mmaction2'; available: torchvision, gowtham, deepmil",
        ),
        ("gowtham", 9, "9 crops have no order 'gowtham'; the number must be 10, 5 or 1"),
    ],
)
def test_no_such_order(name: str, count: int, match: str) -> None:
    with pytest.raises(InputError, match=match):
        crop_order(name, count)


def test_a_crop_that_is_not_there() -> None:
    with pytest.raises(InputError, match="unknown crop 'top-left'; available: center"):
        crop_index(CENTER, ("top-left",))


@pytest.mark.parametrize("crops", [("center", "center"), ("middle",), (), ("top-left",)])
def test_no_set_of_crops(crops: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="crop_order must name top-left, top-right"):
        check_crop_order(crops)
