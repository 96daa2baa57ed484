"""OpenCV's TV-L1 (the extra `opencv`): on the CPU, one pair at a time, with torch's threads."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vad_toolkit.errors import InputError
from vad_toolkit.flow.estimator import check_frames
from vad_toolkit.flow.tvl1 import SMALLEST_SIDE
from vad_toolkit.flow.tvl1_parameters import TVL1Parameters


class OpenCVTVL1:
    """`FlowEstimator` that uses cv2.optflow.DualTVL1OpticalFlow.

    Raises:
        InputError: If OpenCV or its contributed modules are not installed.
    """

    def __init__(self, parameters: TVL1Parameters | None = None) -> None:
        self.parameters = parameters or TVL1Parameters()
        self._cv2 = _import_cv2()

    def __call__(self, frames: Tensor) -> Tensor:
        check_frames(frames, SMALLEST_SIDE)
        cv2 = self._cv2
        cv2.setNumThreads(torch.get_num_threads())
        solver = self._solver()
        grey = [
            cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
            for frame in np.ascontiguousarray(frames.permute(0, 2, 3, 1).cpu().numpy())
        ]
        flow = np.zeros((len(grey) - 1, *grey[0].shape, 2), np.float32)
        for i in range(len(flow)):
            flow[i] = solver.calc(grey[i], grey[i + 1], None)
        return torch.from_numpy(flow).permute(0, 3, 1, 2).contiguous().to(frames.device)

    def _solver(self) -> Any:
        # One per call, because OpenCV lowers the number of scales for small frames for good.
        parameters = self.parameters
        solver = self._cv2.optflow.DualTVL1OpticalFlow_create()
        solver.setTau(parameters.tau)
        solver.setLambda(parameters.lambda_)
        solver.setTheta(parameters.theta)
        solver.setScalesNumber(parameters.scales)
        solver.setScaleStep(parameters.scale_step)
        solver.setWarpingsNumber(parameters.warps)
        solver.setEpsilon(parameters.epsilon)
        solver.setInnerIterations(parameters.inner_iterations)
        solver.setOuterIterations(parameters.outer_iterations)
        solver.setMedianFiltering(parameters.median_filtering)
        return solver


def load_opencv(device: torch.device, dtype: torch.dtype) -> OpenCVTVL1:
    """Return OpenCV's TV-L1 with the default parameters."""
    return OpenCVTVL1()


def _import_cv2() -> Any:
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as error:
        raise InputError(
            "flow algorithm 'tvl1-opencv' needs OpenCV; run "
            "`pip install opencv-contrib-python-headless`, or use 'tvl1'"
        ) from error
    if not hasattr(cv2, "optflow"):
        raise InputError(
            f"OpenCV {cv2.__version__} has no optflow module; replace it with "
            "`pip install opencv-contrib-python-headless`, or use 'tvl1'"
        )
    return cv2
