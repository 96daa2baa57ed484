"""Small configs and random inputs for the tests of models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

from vad_toolkit.models.base import MilModel
from vad_toolkit.models.config import (
    ClavComoConfig,
    MgfnConfig,
    ModelConfig,
    RtfmConfig,
    SultaniConfig,
    UrDmuConfig,
)
from vad_toolkit.models.registry import build_model
from vad_toolkit.models.temporal import TimeBatchNorm

DIM = 6
SMALL_HEAD = {
    "width": 8,
    "activate_hidden": 4,
    "stream_width": 6,
    "nodes": 3,
    "node_width": 4,
    "window": 5,
    "score_hidden": [6, 4],
}

SMALL: Mapping[str, tuple[type[ModelConfig], Mapping[str, Any]]] = {
    "clav-como": (ClavComoConfig, SMALL_HEAD),
    "sultani": (SultaniConfig, {"hidden": [8, 4]}),
    "rtfm": (RtfmConfig, {"width": 4, "score_hidden": [6, 4]}),
    "ur-dmu": (
        UrDmuConfig,
        {"width": 8, "layers": 1, "heads": 2, "head_width": 4, "memory": 20, "score_hidden": 4},
    ),
    "mgfn": (MgfnConfig, {"widths": [4, 6, 8], "depths": [1, 1, 1], "head_width": 2}),
}


@pytest.fixture
def make_model() -> Callable[..., MilModel]:
    """make_model("sultani") or make_model(activate="gate"): seeded, small, in evaluation mode.

    `input`, `losses`: the config's sections of that name; everything else is of the head.
    """

    def make(
        method: str = "clav-como",
        seed: int = 0,
        input: Mapping[str, Any] = {},
        losses: Mapping[str, Any] = {},
        **head: Any,
    ) -> MilModel:
        torch.manual_seed(seed)
        kind, small = SMALL[method]
        fields = {"input": dict(input), "losses": dict(losses), "head": {**small, **head}}
        return build_model(kind.model_validate(fields), DIM).eval()

    return make


@pytest.fixture
def make_input() -> Callable[..., torch.Tensor]:
    """make_input(B, C, T) -> (B, C, T, DIM), seeded."""

    def make(videos: int, crops: int, snippets: int, seed: int = 1) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(videos, crops, snippets, DIM, generator=generator)

    return make


@pytest.fixture
def stir() -> Callable[[MilModel], None]:
    """stir(model) moves every parameter and statistic away from where it begins, seeded."""

    def move(model: MilModel) -> None:
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
            for layer in model.modules():
                if isinstance(layer, TimeBatchNorm):
                    layer.running_mean.normal_(generator=generator)
                    layer.running_var.uniform_(0.5, 2, generator=generator)
            model.standardise.fit(torch.full((DIM,), 0.3), torch.full((DIM,), 2.0))

    return move
