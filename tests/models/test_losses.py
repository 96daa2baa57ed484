from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vad_toolkit.models.losses import (
    cross_entropy,
    mil,
    pair_labels,
    ranking,
    smoothness,
    top_selection,
    video_scores,
)


def scores(videos: int, snippets: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(videos, snippets, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("snippets", "k"), [(1, 1), (2, 1), (9, 1), (10, 1), (32, 3), (100, 10)])
def test_k_is_a_tenth_and_at_least_one(snippets: int, k: int) -> None:
    selection = top_selection(scores(2, snippets), 10)
    assert (selection > 0).sum(dim=1).tolist() == [k, k]
    torch.testing.assert_close(selection.sum(dim=1), torch.ones(2))


def test_the_highest_are_chosen() -> None:
    s = torch.tensor([[0.1, 0.9, 0.3, 0.8], [0.5, 0.2, 0.7, 0.1]])
    assert top_selection(s, 2).tolist() == [[0, 0.5, 0, 0.5], [0.5, 0, 0.5, 0]]
    torch.testing.assert_close(video_scores(s, 2), torch.tensor([0.85, 0.6]))


def test_each_video_of_a_masked_batch_has_its_own_k() -> None:
    s = scores(3, 40)
    mask = torch.arange(40) < torch.tensor([40, 25, 1])[:, None]
    together = top_selection(s, 10, mask)
    for i, length in enumerate((40, 25, 1)):
        alone = top_selection(s[i : i + 1, :length], 10)
        torch.testing.assert_close(together[i : i + 1, :length], alone)
        assert not together[i, length:].any()


def test_no_gradient_passes_through_the_choice() -> None:
    s = scores(2, 20).requires_grad_()
    assert not top_selection(s, 10).requires_grad


def test_mil_is_the_cross_entropy_of_the_top_mean() -> None:
    s = scores(4, 30)
    top = s.topk(3, dim=1).values.mean(dim=1)
    expected = F.binary_cross_entropy(top, torch.tensor([0.0, 0, 1, 1]))
    torch.testing.assert_close(mil(s, top_selection(s, 10)), expected)


def test_cross_entropy_is_finite_at_the_ends_and_lets_nan_through() -> None:
    assert torch.isfinite(cross_entropy(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])))
    assert cross_entropy(torch.tensor([torch.nan, 0.5]), torch.tensor([1.0, 0.0])).isnan()


def test_pairs_are_even() -> None:
    assert pair_labels(scores(4, 2)).tolist() == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="a batch of pairs must be even"):
        pair_labels(scores(3, 2))


def test_smoothness_does_not_couple_videos() -> None:
    flat = torch.tensor([[0.0] * 5, [1.0] * 5])  # a jump at the border only
    assert smoothness(flat) == 0
    s = scores(3, 6)
    torch.testing.assert_close(smoothness(s), sum(smoothness(row[None]) for row in s))
    assert smoothness(scores(3, 1)) == 0


def test_smoothness_ignores_masked_snippets() -> None:
    s = scores(2, 6)
    mask = torch.arange(6) < torch.tensor([6, 4])[:, None]
    hidden = s.masked_fill(~mask, 0)
    torch.testing.assert_close(smoothness(hidden, mask), smoothness(s[:1]) + smoothness(s[1:, :4]))


def test_ranking_goes_over_all_pairs() -> None:
    s = torch.tensor([[0.1, 0.2], [0.4, 0.3], [0.9, 0.1], [0.5, 0.2]])
    pairs = [max(0.0, 1 - a + n) for n in (0.2, 0.4) for a in (0.9, 0.5)]
    assert ranking(s, 1.0).item() == pytest.approx(sum(pairs) / 4)
    assert ranking(torch.tensor([[0.0], [1.0]]), 1.0) == 0


@pytest.mark.parametrize(
    "loss",
    [
        lambda s: mil(s, top_selection(s, 3)),
        smoothness,
        lambda s: ranking(s, 1.0),
        lambda s: video_scores(s, 2),
    ],
)
def test_gradients(loss) -> None:  # type: ignore[no-untyped-def]
    s = scores(4, 7).double().requires_grad_()
    assert torch.autograd.gradcheck(loss, (s,))
