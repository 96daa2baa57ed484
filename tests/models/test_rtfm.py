"""RTFM's own formulas."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from vad_toolkit.models.base import Output
from vad_toolkit.models.rtfm import NonLocal, magnitude_separation


def test_magnitude_separation_of_known_features() -> None:
    features = torch.zeros(2, 1, 4, 2)
    features[0, 0, 0] = torch.tensor([3.0, 4.0])  # normal, magnitude 5
    features[1, 0, 1] = torch.tensor([0.0, 60.0])  # abnormal, two of them: mean 45
    features[1, 0, 2] = torch.tensor([0.0, 30.0])
    selection = torch.tensor([[1.0, 0, 0, 0], [0, 0.5, 0.5, 0]])
    loss = magnitude_separation(features, selection, margin=100.0)
    assert loss.item() == pytest.approx((100 - 45 + 5) ** 2)


def test_the_non_local_block_is_the_quadratic_one() -> None:
    torch.manual_seed(0)
    block = NonLocal(6).eval()
    torch.nn.init.ones_(block.norm.weight)
    x = torch.randn(2, 6, 7)
    fit = block.theta(x).transpose(1, 2) @ block.phi(x) / 7  # (2, 7, 7)
    taken = (fit @ block.g(x).transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(block(x, None), x + block.norm(block.out(taken)))


def test_it_begins_as_the_identity() -> None:
    x = torch.randn(2, 6, 7)
    assert torch.equal(NonLocal(6).eval()(x, None), x)


def test_magnitudes_choose_the_snippets(make_model: Any) -> None:
    model = make_model("rtfm")  # evaluation: no chance in the choice
    features = torch.ones(2, 1, 10, 6)
    features[:, :, 7] = 9.0
    scores = torch.full((2, 10), 0.5)
    scores[:, 7] = torch.tensor([0.1, 0.8])
    mil = model.losses(Output(scores, features, None))["mil"]
    expected = -(torch.tensor(0.9).log() + torch.tensor(0.8).log()) / 2
    torch.testing.assert_close(mil, expected)


def test_training_leaves_most_snippets_out_of_the_choice(make_model: Any) -> None:
    model = make_model("rtfm").train()
    features, scores = torch.ones(2, 1, 10, 6), torch.rand(2, 10)
    features[:, :, 7] = 9.0
    torch.manual_seed(0)
    mils = {model.losses(Output(scores, features, None))["mil"].item() for _ in range(20)}
    assert len(mils) > 1
