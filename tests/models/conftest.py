"""Small configs and random inputs for the tests of models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from vad_toolkit.models.base import MilModel
from vad_toolkit.models.config import ClavComoConfig, SultaniConfig
from vad_toolkit.models.registry import build_model

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


@pytest.fixture
def make_model() -> Callable[..., MilModel]:
    """make_model("sultani") or make_model(activate="gate"): seeded, small, in evaluation mode."""

    def make(method: str = "clav-como", seed: int = 0, **head: Any) -> MilModel:
        torch.manual_seed(seed)
        if method == "sultani":
            config = SultaniConfig.model_validate({"head": {"hidden": [8, 4], **head}})
        else:
            config = ClavComoConfig.model_validate({"head": {**SMALL_HEAD, **head}})
        return build_model(config, DIM).eval()

    return make


@pytest.fixture
def make_input() -> Callable[..., torch.Tensor]:
    """make_input(B, C, T) -> (B, C, T, DIM), seeded."""

    def make(videos: int, crops: int, snippets: int, seed: int = 1) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(videos, crops, snippets, DIM, generator=generator)

    return make
