"""Comparison with the convolution in float64; unsupported cases are left to PyTorch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv3d

from vad_toolkit.backbones.backbone import FoldedConv3d
from vad_toolkit.backbones.volume_conv import LEAST_INPUTS, LEAST_WIDTH, has_quick_form, volume_conv

LAST = torch.channels_last_3d


def draw(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("frames", [2, 4, 8])
@pytest.mark.parametrize("clips", [1, 3])
def test_the_same_as_the_direct_form(frames: int, clips: int) -> None:
    x = draw(clips, 40, frames, 5, 7).contiguous(memory_format=LAST)
    weight, bias = draw(24, 40, 3, 3, 3) / 33, draw(24)
    exact = conv3d(x.double(), weight.double(), bias.double(), padding=1)
    made = volume_conv(x, weight, bias)
    direct = conv3d(x, weight, bias, padding=1)
    assert made.is_contiguous(memory_format=LAST)
    error = (made - exact).abs().max()
    assert error < 2 * (direct - exact).abs().max() + 1e-6  # and in general below it
    assert error < 1e-5


def test_a_part_of_channels_is_read_where_it_lies() -> None:
    """As an Inception block's branches read the parts of one convolution's output."""
    whole = draw(2, 50, 4, 6, 6).contiguous(memory_format=LAST)
    _, part = whole.split((10, 40), dim=1)
    weight, bias = draw(8, 40, 3, 3, 3) / 33, draw(8)
    made = volume_conv(part, weight, bias)
    torch.testing.assert_close(made, conv3d(part, weight, bias, padding=1), rtol=1e-4, atol=1e-5)


def folded(channels: int = LEAST_INPUTS, kernel: int = 3, **options: int) -> FoldedConv3d:
    made = FoldedConv3d(channels, 4, kernel, **{"padding": 1, **options})
    made.requires_grad_(False)
    return made


def clips(frames: int = 2, width: int = LEAST_WIDTH, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros((1, 1, frames, 2, width), dtype=dtype)


@torch.inference_mode()
def test_a_convolution_of_three_places_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    conv = folded()
    x = draw(1, LEAST_INPUTS, 2, 4, LEAST_WIDTH).contiguous(memory_format=LAST)
    torch.testing.assert_close(conv(x), nn.Conv3d.forward(conv, x), rtol=1e-4, atol=1e-5)
    used: list[Tensor] = []
    monkeypatch.setattr(
        "vad_toolkit.backbones.backbone.volume_conv", lambda x, *_: used.append(x) or x
    )
    conv(x)
    assert len(used) == 1


@pytest.mark.parametrize(
    ("conv", "x"),
    [
        (folded(), clips(frames=3)),
        (folded(), clips(width=LEAST_WIDTH - 1)),
        (folded(), clips(dtype=torch.bfloat16)),
        (folded(), clips().to("meta")),
        (folded(LEAST_INPUTS - 1), clips()),
        (folded(stride=2), clips()),
        (folded(padding=0), clips()),
        (folded(dilation=2), clips()),
        (folded(kernel=1), clips()),
    ],
)
@torch.no_grad()
def test_what_is_left_to_pytorch(conv: FoldedConv3d, x: Tensor) -> None:
    assert has_quick_form(folded(), clips())
    assert not has_quick_form(conv, x)


def test_training_is_left_to_pytorch() -> None:
    assert not has_quick_form(folded(), clips())
