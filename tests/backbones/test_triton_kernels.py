"""Each kernel against PyTorch's operation, on a GPU or in Triton's interpreter."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vad_toolkit.extraction.modalities import normalise


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def planes(x: Tensor) -> Tensor:
    """(n, T, H, W, channels) to what PyTorch takes."""
    return x.permute(0, 4, 1, 2, 3)


@pytest.mark.parametrize(("kernel", "channels", "outputs"), [(1, 48, 80), (3, 16, 40)])
def test_convolution_into_slices(
    triton_device: str, kernel: int, channels: int, outputs: int
) -> None:
    from vad_toolkit.backbones.triton_kernels import convolve

    whole = numbers(2, 3, 4, 5, channels + 16).to(triton_device)
    x = whole[..., 16:]
    weight, bias = numbers(outputs, channels, kernel, kernel, kernel) / 10, numbers(outputs)
    expected = F.relu(F.conv3d(planes(x.cpu()), weight, bias, padding=kernel // 2))
    laid = weight.permute(2, 3, 4, 1, 0).reshape(-1, outputs).contiguous().to(triton_device)
    widths = (16, outputs - 32, 16) if kernel == 1 else (outputs,)
    out = torch.full((2, 3, 4, 5, outputs + 32), 7.0, device=triton_device)
    parts = out[..., 16 : 16 + outputs].split(widths, dim=4)
    convolve(x, laid, bias.to(triton_device), parts)
    torch.testing.assert_close(planes(out[..., 16 : 16 + outputs].cpu()), expected)
    assert (out[..., :16] == 7).all()  # what lies beside is left alone
    assert (out[..., 16 + outputs :] == 7).all()


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [((1, 3, 3), (1, 2, 2), 0), ((3, 3, 3), (2, 2, 2), (1, 0, 1)), ((1, 1, 1), (1, 1, 1), 0)],
)
def test_largest(triton_device: str, kernel: tuple, stride: tuple, padding: object) -> None:
    from vad_toolkit.backbones.triton_kernels import largest

    x = numbers(2, 3, 7, 6, 70)
    expected = F.max_pool3d(planes(x), kernel, stride, padding, ceil_mode=True)
    n, channels, *size = expected.shape
    out = torch.full((n, *size, channels + 2), 7.0, device=triton_device)
    before = padding if isinstance(padding, tuple) else (0, 0, 0)
    largest(x.to(triton_device), kernel, stride, before, out[..., 2:])
    assert torch.equal(planes(out[..., 2:].cpu()), expected)
    assert (out[..., :2] == 7).all()


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 4, 3), (3, 5, 4)])
def test_largest_around(triton_device: str, size: tuple[int, int, int]) -> None:
    from vad_toolkit.backbones.triton_kernels import largest_around

    x = numbers(2, *size, 20) - 3  # all below zero, which padding is not
    made = largest_around(x.to(triton_device)).cpu()
    assert torch.equal(planes(made), F.max_pool3d(planes(x), 3, stride=1, padding=1))


@pytest.mark.parametrize("halves", ["both", "plain", "mirrored"])
@pytest.mark.parametrize("mirrored_from", [0, 2])
def test_stem(triton_device: str, halves: str, mirrored_from: int) -> None:
    """A window and its mirror image against the convolution of both, padded as SAME pads."""
    from vad_toolkit.backbones.triton_kernels import stem, stem_weight

    channels = 3 if mirrored_from == 0 else 2
    clips, kernel, bias = numbers(2, 4, 6, 8, 4), numbers(64, channels, 7, 7, 7) / 20, numbers(64)
    windows = F.pad(clips, (0, 0, 3, 5, 2, 3, 2, 3)).to(triton_device)

    def convolved(x: Tensor) -> Tensor:
        padded = F.pad(planes(x), (2, 3, 2, 3, 2, 3))
        return F.relu(F.conv3d(padded, kernel, bias, stride=2)).permute(0, 2, 3, 4, 1)

    as_is = convolved(clips[..., :channels])
    turned = convolved(clips[..., mirrored_from : mirrored_from + channels].flip(3))
    out = torch.full((4, 2, 3, 4, 64), 7.0, device=triton_device)
    slots = torch.tensor([3, 0]), torch.tensor([1, 2])
    stem(
        windows,
        stem_weight(kernel, mirrored_from).to(triton_device),
        bias.to(triton_device),
        out,
        *(slot.to(triton_device) for slot in slots),
        halves,
    )
    for slot, expected, half in zip(slots, (as_is, turned), ("plain", "mirrored"), strict=True):
        if halves in (half, "both"):
            torch.testing.assert_close(out[slot].cpu(), expected, rtol=1e-4, atol=1e-4)
        else:
            assert (out[slot] == 7).all()


@pytest.mark.parametrize("method", ["x*2/255-1", "kinetics"])
def test_values_are_looked_up(triton_device: str, method: str) -> None:
    from vad_toolkit.backbones.triton_kernels import look_up

    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (2, 5, 7, 3), generator=generator, dtype=torch.uint8)
    table = normalise(torch.arange(256).expand(1, 3, 256), method)[0]
    table = torch.cat((table, torch.zeros_like(table[:1]))).to(triton_device)
    for shown in (frames.permute(0, 3, 1, 2), frames.permute(0, 3, 1, 2).contiguous()):
        made = look_up(shown.to(triton_device), table).cpu()
        expected = normalise(shown, method).permute(0, 2, 3, 1)
        assert torch.equal(made[..., :3], expected)
        assert not made[..., 3].any()
