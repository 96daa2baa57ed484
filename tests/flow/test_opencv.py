"""OpenCV's TV-L1, and errors without it. test_tvl1.py compares its flow."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch

from vad_toolkit.errors import InputError
from vad_toolkit.flow.opencv import OpenCVTVL1
from vad_toolkit.flow.tvl1_parameters import TVL1Parameters


def test_small_frames_before_large_ones_change_nothing() -> None:
    pytest.importorskip("cv2")
    estimator = OpenCVTVL1(TVL1Parameters(warps=1))
    frames = torch.randint(0, 256, (3, 3, 40, 48), dtype=torch.uint8)
    first = estimator(frames)
    estimator(frames[..., :20, :20])
    assert torch.equal(estimator(frames), first)
    assert first.shape == (2, 2, 40, 48)


def test_parameters_reach_opencv() -> None:
    pytest.importorskip("cv2")
    parameters = TVL1Parameters(0.1, 0.2, 0.4, 3, 2, 0.02, 7, 4, 0.6, 3)
    solver = OpenCVTVL1(parameters)._solver()
    names = "Tau Lambda Theta ScalesNumber WarpingsNumber Epsilon InnerIterations OuterIterations"
    got = [
        getattr(solver, f"get{name}")() for name in [*names.split(), "ScaleStep", "MedianFiltering"]
    ]
    assert got == [0.1, 0.2, 0.4, 3, 2, 0.02, 7, 4, 0.6, 3]


def test_the_defaults_are_opencvs() -> None:
    cv2 = pytest.importorskip("cv2")
    ours = OpenCVTVL1()._solver()
    theirs = cv2.optflow.DualTVL1OpticalFlow_create()
    for name in (name for name in dir(theirs) if name.startswith("get")):
        assert getattr(ours, name)() == getattr(theirs, name)()


def test_without_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match="pip install opencv-contrib-python-headless"):
        OpenCVTVL1()


def test_opencv_without_contributed_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = ModuleType("cv2")
    plain.__version__ = "9.9"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cv2", plain)
    with pytest.raises(InputError, match=r"OpenCV 9\.9 has no optflow module"):
        OpenCVTVL1()
