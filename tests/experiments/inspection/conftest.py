"""Small networks and features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.runs import make_pack, make_run, manifest, pack, recipe, run
from numpy.typing import NDArray

from vad_toolkit.models.base import MilModel
from vad_toolkit.models.registry import build_model
from vad_toolkit.training.load_config import load_config

__all__ = ["make_pack", "make_run", "manifest", "pack", "recipe", "run"]

DIM = 6
HEAD = {
    "width": 8,
    "activate_hidden": 4,
    "stream_width": 6,
    "nodes": 3,
    "node_width": 4,
    "score_hidden": [6, 4],
}


@pytest.fixture
def make_model() -> Callable[..., MilModel]:
    """make_model(interaction="none"): of CLAV + CoMo, seeded, in evaluation mode."""

    def make(**head: Any) -> MilModel:
        torch.manual_seed(0)
        config = load_config("clav-como", {f"head.{k}": v for k, v in {**HEAD, **head}.items()})
        return build_model(config, DIM).eval()

    return make


@pytest.fixture
def features() -> Callable[..., NDArray[np.float16]]:
    """features(N, C): (N, C, DIM), seeded."""

    def make(snippets: int, crops: int = 2, seed: int = 0) -> NDArray[np.float16]:
        generator = np.random.default_rng(seed)
        return generator.standard_normal((snippets, crops, DIM)).astype(np.float16)

    return make
