"""Parameters of TV-L1 optical flow, shared by the solver and its GPU kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from vad_toolkit.errors import InputError
from vad_toolkit.flow.median import SIZES

Minimiser = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]  # as `_minimise`, less the last two


@dataclass(frozen=True)
class TVL1Parameters:
    """Names and defaults are OpenCV's.

    `tau`: time step of the dual variable, stable up to 0.25. `lambda_`: weight of the data term,
    smaller is smoother. `theta`: how tightly the two are coupled. `scales`: images of the pyramid,
    fewer for small frames. `scale_step`: side of an image of it to the one below. `warps`: on each.
    `epsilon`: pixels. `inner_iterations`: between median filters, `outer_iterations`: times that.
    `median_filtering`: side of the filter, 1 for none.

    Raises:
        InputError: a value that makes no sense.
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
        for name in ("tau", "lambda_", "theta", "epsilon"):
            if not (value := getattr(self, name)) > 0:
                raise InputError(f"TV-L1 {name.rstrip('_')} {value}: has to be above 0")
        for name in ("scales", "warps", "inner_iterations", "outer_iterations"):
            if (value := getattr(self, name)) < 1:
                raise InputError(f"TV-L1 {name} {value}: has to be at least 1")
        if not 0 < self.scale_step < 1:
            raise InputError(f"TV-L1 scale_step {self.scale_step}: has to lie between 0 and 1")
        if self.median_filtering not in SIZES:
            allowed = ", ".join(map(str, SIZES))
            raise InputError(f"TV-L1 median_filtering {self.median_filtering}; allowed: {allowed}")
