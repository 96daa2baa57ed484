"""The median filter against torch's median of each window."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from vad_toolkit.flow import median
from vad_toolkit.flow.median import SIZES, median_filter


def plain_median(images: Tensor, size: int) -> Tensor:
    padded = F.pad(images, (size // 2,) * 4, mode="replicate")
    windows = padded.unfold(2, size, 1).unfold(3, size, 1)
    return windows.flatten(4).median(dim=-1).values


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", [(2, 2, 9, 13), (1, 1, 1, 1), (1, 2, 2, 30)])
def test_equals_the_median_of_each_window(size: int, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(shape, generator=generator)
    assert torch.equal(median_filter(images, size), plain_median(images, size))


def test_ties_and_orders() -> None:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 3, (4, 2, 20, 20), generator=generator).float()
    assert torch.equal(median_filter(images, 5), plain_median(images, 5))


@pytest.mark.parametrize("block", [1, 7, 100])
def test_blocks_do_not_show(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand((2, 2, 6, 5), generator=torch.Generator().manual_seed(2))
    monkeypatch.setitem(median.BLOCK_ELEMENTS, "cpu", block)
    assert torch.equal(median_filter(images, 5), plain_median(images, 5))
