"""Algorithms by name, loaded only when they are asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from vad_toolkit.errors import InputError
from vad_toolkit.flow.registry import ALGORITHMS, load_flow

CPU = torch.device("cpu")


def test_names() -> None:
    assert ALGORITHMS == ("tvl1", "tvl1-opencv", "raft-large", "raft-small")


def test_the_registry_imports_no_algorithm() -> None:
    code = (
        "import sys, vad_toolkit.flow.registry\n"
        "print([name for name in ('cv2', 'torchvision') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_estimator_takes_frames_and_gives_flow() -> None:
    frames = torch.zeros((4, 3, 20, 24), dtype=torch.uint8)
    flow = load_flow("tvl1", CPU)(frames)
    assert (flow.shape, flow.dtype) == ((3, 2, 20, 24), torch.float32)


def test_an_unknown_algorithm() -> None:
    message = (
        "unknown flow algorithm 'farneback'; allowed: tvl1, tvl1-opencv, raft-large, raft-small"
    )
    with pytest.raises(InputError, match=message):
        load_flow("farneback", CPU)
