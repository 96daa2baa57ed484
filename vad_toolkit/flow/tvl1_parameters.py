"""Parameters of TV-L1 optical flow, shared by the solver and its GPU kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from vad_toolkit.errors import InputError
from vad_toolkit.flow.median import SIZES

Minimiser = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # `tvl1._minimise`, four arguments


@dataclass(frozen=True)
class TVL1Parameters:
    """Parameters of TV-L1, with OpenCV's names and defaults.

    Attributes:
        tau: The time step of the dual variable; it is stable up to 0.25.
        lambda_: The weight of the data term; smaller is smoother.
        theta: The strength of the coupling between data and smoothness.
        scales: The number of images of the pyramid; small frames have fewer.
        warps: Linearizations per image of the pyramid.
        epsilon: The motion in pixels (root mean square) below which iterations stop.
        inner_iterations: Iterations between two median filters.
        outer_iterations: The number of median filters per warp.
        scale_step: The ratio of the sides of two consecutive images of the pyramid.
        median_filtering: The side of the median filter: 1 (none), 3 or 5.

    Raises:
        InputError: If a value is out of range.
    """

    tau: float = 0.25
    lambda_: float = 0.15
    theta: float = 0.3
    scales: int = 5
    warps: int = 5
    epsilon: float = 0.01
    inner_iterations: int = 30
    outer_iterations: int = 10
    scale_step: float = 0.8
    median_filtering: int = 5

    def __post_init__(self) -> None:
        def check(name: str, is_valid: bool, allowed: str) -> None:
            if not is_valid:
                value = getattr(self, name)
                raise InputError(f"TV-L1 {name.rstrip('_')} must be {allowed}, got {value}")

        for name in ("tau", "lambda_", "theta", "epsilon"):
            check(name, getattr(self, name) > 0, "> 0")
        for name in ("scales", "warps", "inner_iterations", "outer_iterations"):
            check(name, getattr(self, name) >= 1, ">= 1")
        check("scale_step", 0 < self.scale_step < 1, "between 0 and 1")
        check("median_filtering", self.median_filtering in SIZES, "1, 3 or 5")
