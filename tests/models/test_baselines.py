"""What the published methods have in common: any length, masks, crops, gradients, sizes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from vad_toolkit.models.config import TrainConfig
from vad_toolkit.models.mgfn import MgfnConfig
from vad_toolkit.models.registry import build_model
from vad_toolkit.models.rtfm import RtfmConfig
from vad_toolkit.models.ur_dmu import UrDmuConfig

BASELINES = ["rtfm", "ur-dmu", "mgfn"]


@pytest.mark.parametrize(
    ("config", "width", "parameters"),
    [
        (RtfmConfig(), 2048, 24_718_849),
        (UrDmuConfig(), 2048, 8_065_793),
        (UrDmuConfig(), 1024, 6_492_929),
        (MgfnConfig(), 2048, 28_652_773),
    ],
)
def test_sizes_are_those_of_the_published_networks(
    config: TrainConfig, width: int, parameters: int
) -> None:
    with torch.device("meta"):
        model = build_model(config, width)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize("method", BASELINES)
@pytest.mark.parametrize("crops", [1, 3])
@pytest.mark.parametrize("snippets", [1, 2, 3, 32])
def test_defined_for_any_length_and_number_of_crops(
    make_model: Any, make_input: Any, method: str, crops: int, snippets: int
) -> None:
    model = make_model(method).train()
    output = model(make_input(4, crops, snippets))
    assert output.scores.shape == (4, snippets)
    assert output.features.shape[:3] == (4, crops, snippets)
    assert ((output.scores >= 0) & (output.scores <= 1)).all()
    terms = model.losses(output)
    assert set(terms) == set(model.loss_weights)
    torch.stack(list(terms.values())).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("method", BASELINES)
def test_scores_depend_on_no_other_video_and_no_order_of_crops(
    make_model: Any, stir: Any, make_input: Any, method: str
) -> None:
    model = make_model(method)
    stir(model)
    x = make_input(3, 5, 12)
    torch.testing.assert_close(model(x).scores[1:2], model(x[1:2]).scores)
    torch.testing.assert_close(model(x[:, [3, 0, 4, 2, 1]]).scores, model(x).scores)


@pytest.mark.parametrize("method", BASELINES)
@pytest.mark.parametrize("length", [1, 4])
def test_a_masked_video_scores_as_it_would_alone(
    make_model: Any, stir: Any, make_input: Any, method: str, length: int
) -> None:
    model = make_model(method)
    stir(model)
    x = make_input(2, 2, 9)
    mask = torch.arange(9) < torch.tensor([9, length])[:, None]
    x[(~mask)[:, None].expand(2, 2, 9)] = torch.nan
    output = model(x, mask)
    torch.testing.assert_close(output.scores[1:, :length], model(x[1:, :, :length]).scores)
    assert (output.scores[1, length:] == 0).all()
    assert (output.features[1, :, length:] == 0).all()


@pytest.mark.parametrize("method", BASELINES)
def test_masked_snippets_have_no_part_in_training(
    make_model: Any, make_input: Any, method: str
) -> None:
    model = make_model(method).train()
    x = make_input(4, 2, 9)
    mask = torch.arange(9) < torch.tensor([9, 2, 5, 7])[:, None]
    losses = []
    for filler in (0.0, 1e3):
        x[(~mask)[:, None].expand(4, 2, 9)] = filler
        torch.manual_seed(0)
        losses.append(model.losses(model(x, mask)))
    for name, term in losses[0].items():
        torch.testing.assert_close(term, losses[1][name], msg=name)


@pytest.mark.parametrize("method", BASELINES)
def test_gradients(make_model: Any, stir: Any, make_input: Any, method: str) -> None:
    model = make_model(method).double().train()
    stir(model)
    x = make_input(4, 2, 5).double().requires_grad_()

    def loss(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(0)  # the same dropout and noise in every call
        terms = model.losses(model(x))
        return torch.stack([model.loss_weights[name] * term for name, term in terms.items()]).sum()

    assert torch.autograd.gradcheck(loss, (x,), fast_mode=True)


@pytest.mark.parametrize("method", BASELINES)
def test_a_very_long_video(make_model: Any, make_input: Any, method: str) -> None:
    snippets = 4_000 if method != "rtfm" else 70_000  # softmax takes time in T * T, not memory
    with torch.inference_mode():
        scores = make_model(method)(make_input(1, 1, snippets)).scores
    assert scores.shape == (1, snippets)
    assert torch.isfinite(scores).all()
