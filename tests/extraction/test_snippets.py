"""Snippets and crops: which frames, which pixels, in which order."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as tv

from vad_toolkit.core.crops import CENTER, CORNERS, TEN_CROP_ORDERS
from vad_toolkit.extraction.snippets import SnippetCutter, crop_views
from vad_toolkit.recipes.recipe import Recipe

TEN = TEN_CROP_ORDERS["torchvision"]


def numbered(count: int) -> torch.Tensor:
    """Frames of one pixel, whose value is their index."""
    return torch.arange(count, dtype=torch.uint8).reshape(count, 1, 1, 1)


def cut(chunks: Iterable[torch.Tensor], recipe: Recipe) -> list[list[int]]:
    """The frames of each snippet, by their numbers."""
    cutter = SnippetCutter(recipe)
    snippets = [snippet for chunk in chunks for snippet in cutter.push(chunk)]
    return [snippet.flatten().tolist() for snippet in (*snippets, *cutter.finish())]


@settings(deadline=None)
@given(count=st.integers(0, 120), chunk=st.integers(1, 40), step=st.integers(3, 16), data=st.data())
def test_snippets_are_the_frames_they_should_be(
    count: int, chunk: int, step: int, data: st.DataObject
) -> None:
    tail = data.draw(st.sampled_from(("loop", "drop", "drop-next")))
    recipe = Recipe(snippet_frames=16, step=step, tail=tail)
    snippets = cut(numbered(count).split(chunk) if count else (), recipe)
    assert len(snippets) == recipe.snippet_count(count)
    for index, snippet in enumerate(snippets):
        own = list(range(index * step, min(index * step + 16, count)))
        assert snippet == [own[i % len(own)] for i in range(16)]


def test_a_snippet_is_there_as_soon_as_its_frames_are() -> None:
    cutter = SnippetCutter(Recipe())
    assert list(cutter.push(numbered(15))) == []
    assert len(list(cutter.push(numbered(1)))) == 1


def views(frame: torch.Tensor, order: tuple[str, ...], size: int) -> list[torch.Tensor]:
    return crop_views(frame, frame.flip(2), order, size)


def places(height: int, width: int) -> torch.Tensor:
    """A frame whose two channels say which row and column a pixel was at."""
    rows = torch.arange(height).reshape(1, height, 1, 1).expand(1, height, width, 1)
    columns = torch.arange(width).reshape(1, 1, width, 1).expand(1, height, width, 1)
    return torch.cat((rows, columns), dim=3)


def test_ten_crops_in_torchvisions_order() -> None:
    made = views(places(8, 10), TEN_CROP_ORDERS["torchvision"], 4)
    assert [view.shape for view in made] == [(1, 4, 4, 2)] * 10
    corners = [tuple(view[0, 0, 0].tolist()) for view in made]
    assert corners[:5] == [(0, 0), (0, 6), (4, 0), (4, 6), (2, 3)]
    assert corners[5:] == [(0, 9), (0, 3), (4, 9), (4, 3), (2, 6)]  # columns count down here
    assert made[5][0, 0, :, 1].tolist() == [9, 8, 7, 6]


def middle(length: int, size: int) -> int:
    """The first pixel of a center crop; half a pixel is rounded to an even number."""
    half, odd = divmod(length - size, 2)
    return half + half % 2 if odd else half


@pytest.mark.parametrize("width", [455, 453, 341, 339, 256, 225, 224])
@pytest.mark.parametrize("height", [256, 257, 259])
def test_center_crops_are_where_torchvision_cuts_them(height: int, width: int) -> None:
    """Also 256x455, a 16:9 video, with half a pixel: 115.5 is 116; 114.5 is 114."""
    assert (middle(455, 224), middle(453, 224), middle(256, 224)) == (116, 114, 16)
    for order, mirrored in (
        (CENTER, False),
        (CORNERS, False),
        (TEN_CROP_ORDERS["torchvision"], True),
    ):
        made = dict(zip(order, views(places(height, width), order, 224), strict=True))
        top, left = middle(height, 224), middle(width, 224)
        assert made["center"][0, 0, 0].tolist() == [top, left]
        assert made["center"][0, -1, -1].tolist() == [top + 223, left + 223]
        if mirrored:
            column = width - 1 - left
            assert made["center mirrored"][0, 0, 0].tolist() == [top, column]
            assert made["center mirrored"][0, -1, -1].tolist() == [top + 223, column - 223]


@pytest.mark.parametrize(
    ("height", "width"), [(256, 455), (455, 256), (256, 341), (341, 256), (257, 258), (224, 224)]
)
def test_crops_are_torchvisions(height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(0)
    snippet = torch.randint(0, 256, (2, height, width, 3), dtype=torch.uint8, generator=generator)
    expected = tv.ten_crop(snippet.permute(0, 3, 1, 2), [224, 224])
    assert torch.equal(expected[4], tv.center_crop(snippet.permute(0, 3, 1, 2), [224, 224]))
    for view, other in zip(
        views(snippet, TEN_CROP_ORDERS["torchvision"], 224), expected, strict=True
    ):
        assert torch.equal(view.permute(0, 3, 1, 2), other)


@pytest.mark.parametrize("name", TEN_CROP_ORDERS)
def test_orders_hold_the_same_crops(name: str) -> None:
    frame, order = places(8, 10), TEN_CROP_ORDERS[name]
    ten = dict(
        zip(
            TEN_CROP_ORDERS["torchvision"],
            views(frame, TEN_CROP_ORDERS["torchvision"], 4),
            strict=True,
        )
    )
    for view, place in zip(views(frame, order, 4), order, strict=True):
        assert torch.equal(view, ten[place])


def test_without_mirrored_crops_no_mirrored_frame_is_needed() -> None:
    assert len(crop_views(places(8, 10), None, CORNERS, 4)) == 5
    with pytest.raises(AssertionError):
        crop_views(places(8, 10), None, TEN_CROP_ORDERS["torchvision"], 4)
