"""UR-DMU's own formulas."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from vad_toolkit.models.ur_dmu import Memory, all_snippets, gaussian_distance


def test_the_gaussian_term_is_the_kl_divergence() -> None:
    torch.manual_seed(0)
    mean, log_variance = torch.randn(3, 4, 5), torch.randn(3, 4, 5)
    normal = torch.distributions.Normal
    ours = normal(mean, torch.exp(0.5 * log_variance))
    expected = torch.distributions.kl_divergence(ours, normal(0.0, 1.0)).sum(dim=1).mean()
    torch.testing.assert_close(gaussian_distance(mean, log_variance, None), expected)


def test_a_memory_of_known_prototypes() -> None:
    memory = Memory(2, 4)  # of so few, one is the top
    slots = torch.tensor([[2.0, 0, 0, 0], [0, -2.0, 0, 0]])
    memory.slots.data.copy_(slots)
    score, taken = memory(torch.tensor([[[3.0, 1, 0, 0]]]))
    near, far = torch.sigmoid(torch.tensor([3.0, -1.0]))
    torch.testing.assert_close(score, near.reshape(1, 1))
    torch.testing.assert_close(taken[0, 0], near * slots[0] + far * slots[1])


def test_all_snippets_counts_only_real_ones() -> None:
    values = torch.tensor([[0.5, 0.9], [0.5, 0.1]])
    mask = torch.tensor([[True, False], [True, False]])
    assert all_snippets(values, 1.0, mask).item() == pytest.approx(math.log(2))
    assert all_snippets(values, 1.0, None).item() > math.log(2)


def test_noise_only_in_training_and_only_on_normal_videos(make_model: Any, make_input: Any) -> None:
    model = make_model("ur-dmu", dropout=0.0)
    x = make_input(4, 2, 6)
    calm = model(x)
    assert torch.equal(calm.scores, model(x).scores)
    assert not calm.parts
    model.train()
    first, second = model(x).scores, model(x).scores
    assert not torch.equal(first[:2], second[:2])
    torch.testing.assert_close(first[2:], second[2:])
    torch.testing.assert_close(first[2:], calm.scores[2:])


def test_the_memory_term_is_zero_when_each_memory_knows_its_kind(make_model: Any) -> None:
    from vad_toolkit.models.base import Output

    model = make_model("ur-dmu")
    parts = {
        "to_normal": torch.tensor([[1.0, 1], [0, 1]]),
        "to_abnormal": torch.tensor([[0.0, 0], [1, 1]]),
        **{name: torch.tensor(0.0) for name in ("triplet", "kl", "distance")},
    }
    terms = model.losses(Output(torch.rand(2, 2), torch.rand(2, 1, 2, 8), None, parts))
    assert terms["memory"].item() == pytest.approx(0, abs=1e-5)
    parts["to_abnormal"] = 1 - parts["to_abnormal"]
    terms = model.losses(Output(torch.rand(2, 2), torch.rand(2, 1, 2, 8), None, parts))
    assert terms["memory"].item() > 10
