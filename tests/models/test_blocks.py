"""Videos in blocks: what a model takes over the whole video is the same as in one piece."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vad_toolkit.models import blocks
from vad_toolkit.models.blocks import (
    attended_mean,
    every_snippet,
    mean_product,
    reach,
    run_in_blocks,
)


def two_values(x: Tensor) -> Tensor:
    """(1, d, T) -> (T,): each value over the whole video depends on the one before."""
    first = mean_product(x, x)  # (1, d, d)
    y = attended_mean(100 * x, first @ x) @ x  # (1, d, T)
    (rows,) = every_snippet(y.transpose(1, 2))  # (1, T, d)
    return (y * (rows.amax(dim=1) + mean_product(y, y).sum())[..., None]).sum(dim=1)[0]


def in_blocks(x: Tensor, block: int, margin: int = 0) -> Tensor:
    return run_in_blocks(
        lambda start, stop: two_values(x[:, :, start:stop]), x.shape[2], margin, block
    )


@pytest.fixture
def video() -> Tensor:
    return torch.randn(1, 3, 29, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("block", [1, 2, 7, 14, 28, 29, 100])
@pytest.mark.parametrize("margin", [0, 3, 50])
def test_values_over_the_whole_video(video: Tensor, block: int, margin: int) -> None:
    torch.testing.assert_close(in_blocks(video, block, margin), two_values(video))


def test_each_value_takes_one_pass_more(video: Tensor) -> None:
    read: list[tuple[int, int]] = []

    def forward(start: int, stop: int) -> Tensor:
        read.append((start, stop))
        return two_values(video[:, :, start:stop])

    run_in_blocks(forward, 29, 2, 10)
    assert read == [(0, 12), (8, 22), (18, 29)] * 5  # four values
    read.clear()
    run_in_blocks(forward, 29, 2, 29)
    assert read == [(0, 29)]


def test_an_error_leaves_nothing_behind(video: Tensor) -> None:
    def forward(start: int, stop: int) -> Tensor:
        if start:
            raise ValueError("no more")
        return two_values(video[:, :, start:stop])

    with pytest.raises(ValueError, match="no more"):
        run_in_blocks(forward, 29, 0, 10)
    assert blocks._in_blocks.get() is None
    torch.testing.assert_close(mean_product(video, video)[0], video[0] @ video[0].T / 29)


def test_masked_snippets_do_not_count(video: Tensor) -> None:
    mask = (torch.arange(29) < 20)[None, None]
    hidden = video.masked_fill(~mask, 0)
    torch.testing.assert_close(
        mean_product(hidden, video, mask), mean_product(video[..., :20], video[..., :20])
    )


class Side(nn.Module):
    """Two convolutions side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv1d(2, 2, 5, padding="same") for _ in range(2))


def test_reach() -> None:
    assert reach(nn.Linear(3, 3)) == 0
    assert reach(nn.Conv1d(2, 2, 1)) == 0
    assert reach(nn.Conv1d(2, 2, 3, dilation=4)) == 4
    assert reach(nn.Sequential(nn.Conv1d(2, 2, 3), nn.ReLU(), nn.Conv1d(2, 2, 5))) == 3
    first, second = Side(), Side()
    assert reach(first) == 4  # more than enough
    first.reach = second.reach = 2
    assert reach(nn.Sequential(first, second)) == 4
