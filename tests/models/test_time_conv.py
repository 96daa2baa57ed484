from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vad_toolkit.models import time_conv as module
from vad_toolkit.models.time_conv import minimal_filtering, time_conv


def inputs(snippets: int, width: int = 3, outputs: int = 4, taps: int = 3) -> list[torch.Tensor]:
    """x (N, T, d), weight and bias, float64 with gradients."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, snippets, width), (outputs, width, taps), (outputs,))
    return [
        torch.randn(s, generator=generator, dtype=torch.float64).requires_grad_() for s in shapes
    ]


@pytest.mark.parametrize("snippets", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("with_bias", [True, False])
def test_minimal_filtering_is_a_convolution(snippets: int, with_bias: bool) -> None:
    x, weight, bias = inputs(snippets)
    used = bias if with_bias else None
    expected = F.conv1d(x.transpose(1, 2), weight, used, padding=1).transpose(1, 2)
    torch.testing.assert_close(minimal_filtering(x, weight, used), expected)


@pytest.mark.parametrize("snippets", [1, 2, 3, 6])
def test_gradients(snippets: int) -> None:
    assert torch.autograd.gradcheck(minimal_filtering, tuple(inputs(snippets)))


def test_gradients_are_those_of_a_convolution() -> None:
    x, weight, bias = inputs(5)
    way = torch.randn(2, 5, 4, dtype=torch.float64)
    found = torch.autograd.grad((minimal_filtering(x, weight, bias) * way).sum(), (x, weight, bias))
    plain = F.conv1d(x.transpose(1, 2), weight, bias, padding=1).transpose(1, 2)
    expected = torch.autograd.grad((plain * way).sum(), (x, weight, bias))
    torch.testing.assert_close(found, expected)


def test_an_input_without_gradient_gets_none() -> None:
    x, weight, bias = inputs(4)
    minimal_filtering(x.detach(), weight, bias).sum().backward()
    assert x.grad is None
    assert weight.grad is not None


def test_rounding_is_that_of_a_plain_convolution() -> None:
    x, weight, bias = (t.detach() for t in inputs(32, width=512, outputs=256))
    exact = F.conv1d(x.transpose(1, 2), weight, bias, padding=1)
    plain = F.conv1d(x.float().transpose(1, 2), weight.float(), bias.float(), padding=1)
    ours = time_conv(x.float().transpose(1, 2), weight.float(), bias.float())
    # How exact the plain one is depends on the library and the processor.
    assert (ours - exact).square().mean() < 16 * (plain - exact).square().mean()


@pytest.mark.parametrize(("width", "outputs", "taps"), [(3, 4, 1), (3, 4, 5), (130, 257, 3)])
def test_every_way_gives_the_same(width: int, outputs: int, taps: int) -> None:
    x, weight, bias = inputs(6, width, outputs, taps)
    expected = F.conv1d(x.transpose(1, 2), weight, bias, padding=taps // 2)
    torch.testing.assert_close(time_conv(x.transpose(1, 2), weight, bias), expected)


def test_wide_filters_of_three_taps_take_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    original = module.minimal_filtering
    monkeypatch.setattr(module, "minimal_filtering", lambda *a: taken.append(1) or original(*a))
    for width, outputs, taps in ((128, 256, 3), (127, 256, 3), (128, 255, 3), (128, 256, 5)):
        x, weight, bias = inputs(4, width, outputs, taps)
        time_conv(x.transpose(1, 2), weight, bias)
    with torch.autocast("cpu", torch.bfloat16):  # a shorter type would not stand the sums
        x, weight, bias = inputs(4, 128, 256)
        time_conv(x.transpose(1, 2), weight, bias)
    assert len(taken) == 1
