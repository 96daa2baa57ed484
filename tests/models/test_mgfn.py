"""MGFN's own formulas."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from vad_toolkit.models.mgfn import Focus, magnitude_contrast


def test_magnitude_contrast_against_plain_loops() -> None:
    torch.manual_seed(0)
    features, selection = torch.randn(6, 2, 5, 3), torch.zeros(6, 5)
    selection[:, :2] = 0.5
    size = features.abs().sum(dim=3)[:, :, :2].mean(dim=2)  # (6, 2)
    alike, apart = 0.0, 0.0
    for crop in range(2):
        for kind in (range(3), range(3, 6)):
            alike += sum(float((size[p, crop] - size[q, crop]) ** 2) for p in kind for q in kind)
        for p in range(3):
            for q in range(3, 6):
                apart += max(0.0, 4.0 - abs(float(size[p, crop] - size[q, crop]))) ** 2
    expected = alike / 9 / 2 + 0.001 * apart / 9 / 2
    assert magnitude_contrast(features, selection, 4.0).item() == pytest.approx(expected, rel=1e-5)


def test_kinds_that_are_apart_cost_nothing() -> None:
    features = torch.zeros(4, 1, 1, 2)
    features[2:] = 50.0
    assert magnitude_contrast(features, torch.ones(4, 1), margin=100.0).item() == 0
    assert magnitude_contrast(features, torch.ones(4, 1), margin=101.0).item() > 0


def test_focus_weighs_neighbours_a_head_at_a_time() -> None:
    torch.manual_seed(0)
    focus = Focus(6, head_width=3).eval()  # two heads
    x = torch.randn(1, 6, 9)
    value = focus.value(focus.norm(x))
    near = torch.cat(
        [
            torch.nn.functional.conv1d(
                value[0, 3 * head : 3 * head + 3, None],
                focus.weigh.weight[head, None],
                focus.weigh.bias[head, None],
                padding=2,
            )[:, 0]
            for head in range(2)
        ]
    )
    torch.testing.assert_close(focus(x, None), focus.out(near[None]))


def test_the_magnitude_of_a_snippet_counts(make_model: Any, make_input: Any) -> None:
    x = make_input(1, 1, 6)
    with_size, without = make_model("mgfn"), make_model("mgfn", magnitude_share=0.0)
    without.load_state_dict(with_size.state_dict())
    assert not torch.equal(with_size(x).scores, without(x).scores)
