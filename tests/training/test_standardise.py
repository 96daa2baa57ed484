from __future__ import annotations

import torch

from vad_toolkit.models.registry import build_model
from vad_toolkit.training.data import VideoTensors
from vad_toolkit.training.load_config import load_config
from vad_toolkit.training.standardise import fit_inputs, input_covariance, input_statistics


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


def test_covariance_counts_each_video_once() -> None:
    data = torch.randn(4, 2, 7, 3, generator=torch.Generator().manual_seed(0))
    data[3] = 1e3  # a video that was held out
    chosen = torch.tensor([0, 1, 2])
    mean, std = input_statistics(videos(data), chosen)
    found = input_covariance(videos(data), chosen, mean, std)
    expected = torch.corrcoef(data[:3].reshape(-1, 3).T).double()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_components_are_uncorrelated_of_variance_one_and_the_leading_ones() -> None:
    data = torch.randn(4, 1, 50, 6, generator=torch.Generator().manual_seed(0))
    data[..., 1] = data[..., 0] + 0.1 * data[..., 1]  # together the leading direction
    data[..., 5] = 7.0  # a number that never varies
    model = build_model(load_config("sultani", {"input.components": 5}), 6)
    fit_inputs(model, videos(data), torch.arange(4))
    assert model.input_width == 5
    out = model.components(model.standardise(data).flatten(0, 1).transpose(1, 2))  # (4, 5, 50)
    rows = out.transpose(1, 2).reshape(-1, 5)
    torch.testing.assert_close(rows.T @ rows / len(rows), torch.eye(5), atol=1e-4, rtol=1e-4)
    first = model.components.rows[0] / model.components.rows[0].norm()
    assert first[:2].abs().sum() > 1.3  # both halves of the leading direction; 1.41 at most


def test_components_without_variance_are_zero() -> None:
    data = torch.randn(4, 1, 50, 1, generator=torch.Generator().manual_seed(0)).expand(4, 1, 50, 3)
    model = build_model(load_config("sultani", {"input.components": 2}), 3)
    fit_inputs(model, videos(data.clone()), torch.arange(4))
    assert model.components.rows[1].tolist() == [0.0, 0.0, 0.0]
    assert model.components.rows[0].any()
