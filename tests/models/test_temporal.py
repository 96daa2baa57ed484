"""Layers over time against plain definitions."""

from __future__ import annotations

import math

import pytest
import torch

from vad_toolkit.models import temporal
from vad_toolkit.models.base import at_least_float32
from vad_toolkit.models.temporal import TimeBatchNorm, attend, distance_mean, split_heads


@pytest.mark.parametrize("form", ["matrix", "convolution"])
@pytest.mark.parametrize("snippets", [1, 3, 80])
def test_distance_mean_against_its_definition(
    monkeypatch: pytest.MonkeyPatch, form: str, snippets: int
) -> None:
    monkeypatch.setattr(temporal, "MATRIX_SNIPPETS", 256 if form == "matrix" else 0)
    torch.manual_seed(0)
    x = torch.randn(2, 3, snippets)
    mask = (torch.arange(snippets) < torch.tensor([snippets, max(1, snippets // 2)])[:, None])[
        :, None
    ]
    x = x.masked_fill(~mask, 0)
    got = distance_mean(x, math.e, mask)
    for n in range(2):
        length = int(mask[n].sum())
        for i in range(length):
            weight = torch.exp(-(torch.arange(length) - i).abs() / math.e)
            expected = (x[n, :, :length] * weight).sum(dim=1) / weight.sum()
            torch.testing.assert_close(got[n, :, i], expected)


def test_attention_against_its_definition() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 2, 5, 4)
    mask = (torch.arange(5) < torch.tensor([5, 3])[:, None])[:, None]  # (2, 1, 5)
    fit = (q @ k.transpose(2, 3) / 2).masked_fill(~mask[:, None], -torch.inf)
    torch.testing.assert_close(attend(q, k, v, mask), fit.softmax(dim=3) @ v)
    assert not torch.allclose(attend(q, k, v, mask), attend(q, k, v, None))


def test_heads_are_split_in_order() -> None:
    x = torch.arange(12.0).reshape(1, 2, 6)
    assert split_heads(x, 2)[0, :, 0].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_statistics_of_short_numbers_are_taken_in_float32() -> None:
    x = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    mask = torch.arange(4).expand(3, 1, 4) < 3
    norm, exact = TimeBatchNorm(5).train(), TimeBatchNorm(5).train()
    torch.testing.assert_close(norm(x, mask), exact(x.float(), mask))
    torch.testing.assert_close(norm.running_var, exact.running_var)


def test_at_least_float32() -> None:
    kinds = (torch.bfloat16, torch.float16, torch.float32, torch.float64)
    found = [at_least_float32(torch.ones(1, dtype=kind)).dtype for kind in kinds]
    assert found == [torch.float32] * 3 + [torch.float64]
