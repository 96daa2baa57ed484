from __future__ import annotations

import torch

from vad_toolkit.training.standardise import input_statistics
from vad_toolkit.training.videos import VideoTensors


def videos(data: torch.Tensor) -> VideoTensors:
    """From (V, C, T, D)."""
    count, crops, segments, width = data.shape
    return VideoTensors(data.flatten(), torch.full((count,), segments), crops, width)


def test_statistics_of_the_chosen_videos_only() -> None:
    data = torch.randn(5, 2, 7, 3, generator=torch.Generator().manual_seed(0))
    data[4] = 1e3  # a video that was held out
    mean, std = input_statistics(videos(data), torch.tensor([0, 2, 3]))
    chosen = data[[0, 2, 3]].reshape(-1, 3)
    torch.testing.assert_close(mean, chosen.mean(dim=0))
    torch.testing.assert_close(std, chosen.std(dim=0, correction=0))


def test_a_dimension_that_never_varies_has_std_zero() -> None:
    _, std = input_statistics(
        videos(torch.full((2, 1, 4, 3), 0.1, dtype=torch.float16)), torch.tensor([0, 1])
    )
    assert std.tolist() == [0.0, 0.0, 0.0]
