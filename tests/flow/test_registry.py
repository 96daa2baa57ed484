"""Flow algorithms by name, imported only when they are loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from vad_toolkit.errors import InputError
from vad_toolkit.flow.registry import FLOWS, load_flow, register_flow
from vad_toolkit.recipes.recipe import load_recipe

CPU = torch.device("cpu")
FLOW_ONLY = {"streams": ["flow"], "weights": "i3d-flow-random"}


def test_names() -> None:
    assert list(FLOWS)[:4] == ["tvl1", "tvl1-opencv", "raft-large", "raft-small"]


def test_the_registry_imports_no_algorithm() -> None:
    code = (
        "import sys, vad_toolkit.flow.registry\n"
        "print([name for name in ('cv2', 'torch', 'torchvision') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_estimator_takes_frames_and_gives_flow() -> None:
    frames = torch.zeros((4, 3, 20, 24), dtype=torch.uint8)
    flow = load_flow("tvl1", CPU)(frames)
    assert (flow.shape, flow.dtype) == ((3, 2, 20, 24), torch.float32)


def test_an_unknown_algorithm() -> None:
    message = (
        "unknown flow algorithm 'farneback'; available: tvl1, tvl1-opencv, raft-large, raft-small"
    )
    with pytest.raises(InputError, match=message):
        load_flow("farneback", CPU)


def test_an_algorithm_from_outside() -> None:
    def one_pixel(frames: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(frames) - 1, 2, *frames.shape[2:])

    register_flow("one-pixel", lambda device, dtype: one_pixel)
    recipe = load_recipe("i3d-rgb-center", {**FLOW_ONLY, "flow.algorithm": "one-pixel"})
    assert recipe.flow is not None
    frames = torch.zeros((3, 3, 20, 24), dtype=torch.uint8)
    assert load_flow(recipe.flow.algorithm, CPU)(frames).shape == (2, 2, 20, 24)


def test_a_recipe_with_an_unknown_algorithm() -> None:
    message = r"^recipe field flow.algorithm: unknown flow algorithm 'farneback'; available: tvl1, "
    with pytest.raises(InputError, match=message):
        load_recipe("i3d-rgb-center", {**FLOW_ONLY, "flow.algorithm": "farneback"})
