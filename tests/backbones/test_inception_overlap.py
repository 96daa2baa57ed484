"""Joined crops have the features of separate crops, for every frame size and order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from vad_toolkit.backbones.inception_i3d import InceptionBlock, InceptionI3D
from vad_toolkit.backbones.inception_overlap import OverlapInceptionI3D, plan_pieces
from vad_toolkit.core.crops import CENTER, CORNERS, TEN_CROP_ORDERS, crop_places
from vad_toolkit.extraction.snippets import crop_views

FRAMES = 2
TURNED = ("bottom-left mirrored", "top-right", "top-left mirrored")
LANDSCAPE, PORTRAIT = (256, 341), (341, 256)


def make_network(channels: int) -> InceptionI3D:
    """The real front, before one narrow block."""
    torch.manual_seed(0)
    made = InceptionI3D(channels)
    made.blocks.clear()
    made.blocks["Mixed_3b"] = InceptionBlock(192, (8, 8, 8, 8, 8, 8))
    made.feature_dim = made.blocks["Mixed_3b"].outputs
    for module in made.modules():
        if isinstance(module, torch.nn.Conv3d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            torch.nn.init.uniform_(module.bias, -0.1, 0.1)
    return made.eval().requires_grad_(False)


def make_snippet(channels: int, height: int, width: int) -> Tensor:
    """As `streams` makes whole snippets; of flow, mirrored crops have numbers of their own."""
    generator = torch.Generator().manual_seed(height)
    made = torch.rand((FRAMES, height, width, 4), generator=generator) * 2 - 1
    if channels == 3:
        made[..., 3] = 0
    return made


def crops_apart(network: InceptionI3D, snippet: Tensor, order: Sequence[str], size: int) -> Tensor:
    mirrored = (snippet[..., :3] if network.channels == 3 else snippet[..., 2:]).flip(2)
    views = crop_views(snippet[..., : network.channels], mirrored, order, size)
    return network(torch.stack(views).permute(0, 4, 1, 2, 3)).half()


@pytest.mark.parametrize(
    ("channels", "order", "size", "height", "width"),
    [
        (3, TURNED, 128, 160, 167),  # joined down
        (2, TURNED, 128, 167, 160),  # joined across
        (3, CORNERS, 128, 144, 136),  # either way: across, which costs less
        (3, CORNERS, 96, 101, 99),  # nothing to join
        (2, TURNED, 90, 98, 98),  # crops that end between lines of the front
        (3, CORNERS, 64, 64, 71),  # two crops in one place
    ],
)
def test_features_are_those_of_crops_apart(
    channels: int, order: tuple[str, ...], size: int, height: int, width: int
) -> None:
    network = make_network(channels)
    snippet = make_snippet(channels, height, width)
    other = make_snippet(channels, height + 8, width)  # of another video
    made = OverlapInceptionI3D(network, order, size)([snippet, other])
    expected = torch.stack([crops_apart(network, own, order, size) for own in (snippet, other)])
    assert made.dtype == torch.float16
    torch.testing.assert_close(made, expected, rtol=1e-3, atol=1e-4)


def test_in_bfloat16() -> None:
    network = make_network(3).bfloat16()
    snippet = make_snippet(3, 160, 167).bfloat16()
    (made,) = OverlapInceptionI3D(network, TURNED, 128)([snippet])
    expected = crops_apart(network, snippet, TURNED, 128)
    assert made.dtype == torch.float16
    torch.testing.assert_close(made, expected, rtol=2e-2, atol=1e-3)


@pytest.mark.parametrize("before", [0, 8])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_joined_crop_does_not_see_beyond_its_edge(axis: int, before: int) -> None:
    """What lies outside of a crop changes nothing of it, down to the last bit."""
    network = make_network(3)
    shape = [128, 128]
    shape[axis] = 160
    snippet = make_snippet(3, *shape)
    overlap = OverlapInceptionI3D(network, CORNERS, 128)
    crop = CORNERS.index("top-left" if not before else "bottom-right")
    changed = snippet.clone()
    outside = slice(128, None) if not before else slice(0, 32)
    changed.movedim(1 + axis, 0)[outside] = 0.5
    (first,), (second,) = overlap([snippet]), overlap([changed])
    assert torch.equal(first[crop], second[crop])
    assert not torch.equal(first, second)


@pytest.mark.parametrize("order", [*TEN_CROP_ORDERS.values(), CENTER])
@pytest.mark.parametrize(("height", "width"), [LANDSCAPE, PORTRAIT, (256, 340), (224, 300)])
def test_each_line_of_each_crop_is_taken_once(
    order: tuple[str, ...], height: int, width: int
) -> None:
    named = crop_places(height, width, 224)
    places = tuple(named[name] for name in order if " " not in name)
    plan = plan_pieces(places, 224)
    taken = {crop: [0] * 28 for crop in range(len(places))}
    for piece in plan.pieces:
        assert 0 <= piece.top <= height - piece.height
        assert 0 <= piece.left <= width - piece.width
        for take in piece.takes:
            top, left = places[take.crop]
            start, own = (piece.left, left) if plan.axis else (piece.top, top)
            for line in range(take.count):
                assert start + 8 * (take.first + line) == own + 8 * (take.to + line)
                taken[take.crop][take.to + line] += 1
    assert all(lines == [1] * 28 for lines in taken.values())


def test_what_is_joined_is_what_costs_less() -> None:
    def cost(height: int, width: int, size: int = 224) -> float:
        places = tuple(crop_places(height, width, size)[name] for name in CORNERS)
        return plan_pieces(places, size).cost / size**2

    assert cost(*LANDSCAPE) == cost(*PORTRAIT) == pytest.approx(1 + 2 * (256 + 48) / 224)
    assert cost(255, 341) == 5  # 31 lines apart
    assert cost(224, 341) == 3  # upper and lower crops are the same
    assert cost(96, 121, 64) == 5  # bands would be more than is saved
