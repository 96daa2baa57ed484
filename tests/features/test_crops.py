"""Snippets and crops: which frames, which pixels, in which order."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vad_toolkit.features.crops import crop_views, iter_snippets, network_input, resize_frames
from vad_toolkit.features.recipe import Recipe, load_recipe


def numbered(count: int) -> torch.Tensor:
    """Frames of one pixel, whose value is their index."""
    return torch.arange(count, dtype=torch.uint8).reshape(count, 1, 1, 1)


@settings(deadline=None)
@given(count=st.integers(0, 120), chunk=st.integers(1, 40), step=st.integers(3, 16), data=st.data())
def test_snippets_are_the_frames_they_should_be(
    count: int, chunk: int, step: int, data: st.DataObject
) -> None:
    tail = data.draw(st.sampled_from(("loop", "drop")))
    recipe = Recipe(snippet_frames=16, step=step, tail=tail)
    snippets = list(iter_snippets(numbered(count).split(chunk) if count else (), recipe))
    assert len(snippets) == recipe.snippet_count(count)
    for index, snippet in enumerate(snippets):
        own = list(range(index * step, min(index * step + 16, count)))
        assert snippet.flatten().tolist() == [own[i % len(own)] for i in range(16)]


def test_stream_is_read_no_further_than_needed() -> None:
    read = 0

    def chunks() -> object:
        nonlocal read
        for part in numbered(160).split(16):
            read += 1
            yield part

    snippets = iter_snippets(chunks(), Recipe())
    next(snippets)
    assert read == 1


def test_ten_crops_in_torchvisions_order() -> None:
    height, width = 8, 10
    rows = torch.arange(height).reshape(1, 1, height, 1).expand(1, 1, height, width)
    columns = torch.arange(width).reshape(1, 1, 1, width).expand(1, 1, height, width)
    frame = torch.cat((rows, columns), dim=1).to(torch.uint8)  # a pixel says where it was
    recipe = Recipe.model_construct(
        **{**load_recipe("i3d-rgb-tencrop").model_dump(), "crop_size": 4}
    )
    views = crop_views(frame, recipe)
    assert views.shape == (10, 1, 2, 4, 4)
    corners = [tuple(view[0, :, 0, 0].tolist()) for view in views]
    assert corners[:5] == [(0, 0), (0, 6), (4, 0), (4, 6), (2, 3)]
    assert corners[5:] == [(0, 9), (0, 3), (4, 9), (4, 3), (2, 6)]  # columns count down here
    assert views[5, 0, 1, 0].tolist() == [9, 8, 7, 6]


@pytest.mark.parametrize("name", ["i3d-rgb-center", "i3d-rgb-fivecrop", "i3d-rgb-tencrop"])
def test_layouts_agree_on_the_crops_they_share(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    snippet = torch.randint(0, 256, (2, 3, 256, 341), dtype=torch.uint8, generator=generator)
    recipe, ten = load_recipe(name), load_recipe("i3d-rgb-tencrop")
    views, all_views = crop_views(snippet, recipe), crop_views(snippet, ten)
    for view, place in zip(views, recipe.crop_order, strict=True):
        assert torch.equal(view, all_views[ten.crop_order.index(place)])


@pytest.mark.parametrize(
    ("size", "expected"),
    [((240, 320), (256, 341)), ((320, 240), (341, 256)), ((256, 256), (256, 256))],
)
def test_resize_keeps_the_aspect(size: tuple[int, int], expected: tuple[int, int]) -> None:
    frames = torch.full((2, *size, 3), 77, dtype=torch.uint8)
    resized = resize_frames(frames, 256)
    assert resized.shape == (2, 3, *expected)
    assert resized.dtype == torch.uint8
    assert bool((resized == 77).all())


def test_normalisation() -> None:
    crops = torch.tensor([0, 255, 51], dtype=torch.uint8).reshape(1, 1, 3, 1, 1)
    clips = network_input(crops, torch.float32)
    assert clips.shape == (1, 3, 1, 1, 1)
    torch.testing.assert_close(clips.flatten(), torch.tensor([-1.0, 1.0, -0.6]))
    assert network_input(crops, torch.bfloat16).dtype == torch.bfloat16
