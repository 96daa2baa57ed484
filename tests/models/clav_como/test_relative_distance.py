from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vad_toolkit.models.clav_como.relative_distance import mean_similarity, relative_distance
from vad_toolkit.models.losses import top_selection


def features(videos: int, crops: int, snippets: int, width: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(videos, crops, snippets, width, generator=generator)


def all_of(h: torch.Tensor) -> torch.Tensor:
    return torch.full((h.shape[0],), h.shape[2])


def plain(h: torch.Tensor, top: list[list[int]], margin: float) -> float:
    """The definition, pair by pair, from T x T matrices."""
    unit = F.normalize(h, dim=3)
    half = len(h) // 2
    total = 0.0
    for i in range(half):
        for c in range(h.shape[1]):
            normal, abnormal = unit[i, c], unit[half + i, c]
            same = normal @ normal.T
            t = len(normal)
            c_n = ((same.sum() - same.trace()) / (t * (t - 1))).item() if t > 1 else 1.0
            c_top = (normal[top[i]] @ abnormal[top[half + i]].T).mean().item()
            total += max(0.0, c_top - c_n + margin)
    return total / (half * h.shape[1])


def test_it_is_its_definition() -> None:
    h = features(6, 2, 30)
    s = h.mean(dim=(1, 3))
    top = s.topk(3, dim=1).indices.tolist()
    found = relative_distance(h, top_selection(s, 10), all_of(h), 0.3)
    assert found.item() == pytest.approx(plain(h, top, 0.3), abs=1e-6)


def test_it_is_zero_where_abnormals_are_farther_than_the_margin() -> None:
    normal = torch.tensor([1.0, 0]).expand(1, 1, 10, 2)
    abnormal = torch.tensor([0.0, 1]).expand(1, 1, 10, 2)
    h = torch.cat([normal, abnormal])  # C_n = 1, C_top = 0
    selection = top_selection(torch.rand(2, 10), 10)
    assert relative_distance(h, selection, all_of(h), 0.3) == 0
    assert relative_distance(h, selection, all_of(h), 1.0) == 0
    assert relative_distance(h, selection, all_of(h), 1.25) == pytest.approx(0.25)


@pytest.mark.parametrize("snippets", [1, 2, 3, 32])
def test_it_is_the_margin_where_all_features_are_equal(snippets: int) -> None:
    h = torch.tensor([3.0, 4, 5]).expand(4, 2, snippets, 3)
    selection = top_selection(torch.rand(4, snippets), 10)
    assert relative_distance(h, selection, all_of(h), 0.3).item() == pytest.approx(0.3, abs=1e-5)


def test_the_length_of_features_does_not_matter() -> None:
    h = features(4, 2, 20)
    selection = top_selection(torch.rand(4, 20), 10)
    scaled = h * torch.rand(4, 2, 20, 1).add(0.1) * 50
    before = relative_distance(h, selection, all_of(h), 0.3)
    torch.testing.assert_close(relative_distance(scaled, selection, all_of(h), 0.3), before)


def test_an_abnormal_snippet_outside_the_top_does_not_matter() -> None:
    h = features(4, 2, 20)
    selection = top_selection(torch.rand(4, 20), 10)
    before = relative_distance(h, selection, all_of(h), 0.3)
    outside = int((selection[2] == 0).nonzero()[0])
    h[2, :, outside] = torch.tensor([9.0, 0, 0, 0, 0])
    assert torch.equal(relative_distance(h, selection, all_of(h), 0.3), before)


def test_a_normal_snippet_outside_the_top_does() -> None:
    h = features(4, 2, 20)
    selection = top_selection(torch.rand(4, 20), 10)
    before = relative_distance(h, selection, all_of(h), 0.3)
    outside = int((selection[0] == 0).nonzero()[0])
    h[0, :, outside] = torch.tensor([9.0, 0, 0, 0, 0])
    assert relative_distance(h, selection, all_of(h), 0.3) > before


def test_unequal_lengths() -> None:
    h = features(2, 2, 20)
    s = torch.rand(2, 20)
    mask = torch.arange(20) < torch.tensor([12, 20])[:, None]
    h[0, :, 12:] = 0
    found = relative_distance(h, top_selection(s, 10, mask), mask.sum(dim=1), 0.3)
    top = [[int(s[0, :12].argmax())], s[1].topk(2).indices.tolist()]
    c_n = mean_similarity(F.normalize(h[:1, :, :12], dim=3), torch.tensor([12]))
    expected = []
    for c in range(2):
        a = F.normalize(h[0, c, top[0]], dim=1)
        b = F.normalize(h[1, c, top[1]], dim=1)
        expected.append(max(0.0, ((a @ b.T).mean() - c_n[0, c] + 0.3).item()))
    assert found.item() == pytest.approx(sum(expected) / 2, abs=1e-6)


def test_similarity_of_a_single_snippet_is_one() -> None:
    assert mean_similarity(torch.rand(3, 2, 1, 4), torch.ones(3, dtype=torch.int64)).eq(1).all()


def test_gradients_also_at_one_snippet() -> None:
    for snippets in (1, 4):
        h = features(2, 2, snippets, width=3).double().requires_grad_()
        selection = top_selection(torch.rand(2, snippets, dtype=torch.float64), 2)
        assert torch.autograd.gradcheck(
            lambda h, s=selection: relative_distance(h, s, all_of(h), 1.5), (h,)
        )
