"""Registry of optical-flow algorithms; none is imported before it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from vad_toolkit.core.registry import Registry

if TYPE_CHECKING:
    import torch

    from vad_toolkit.flow.estimator import FlowEstimator

Loader: TypeAlias = "Callable[[torch.device, torch.dtype], FlowEstimator]"
FLOWS: Registry[Loader] = Registry(
    "flow algorithm",
    {
        "tvl1": "vad_toolkit.flow.tvl1:load_tvl1",
        "tvl1-opencv": "vad_toolkit.flow.opencv:load_opencv",
        "raft-large": "vad_toolkit.flow.raft:load_large",
        "raft-small": "vad_toolkit.flow.raft:load_small",
    },
)


def load_flow(
    algorithm: str, device: torch.device, dtype: torch.dtype | None = None
) -> FlowEstimator:
    """Load an optical-flow algorithm.

    Args:
        algorithm: A name in `FLOWS`.
        device: The device of the frames. `tvl1-opencv` copies them and computes on the CPU.
        dtype: The type of a network's convolutions. If None, float32. TV-L1 is always float32.

    Raises:
        InputError: If there is no such algorithm, or it needs OpenCV and that is not installed.
        WeightsError: If the weights of RAFT are missing or damaged.
    """
    import torch

    return FLOWS[algorithm](device, dtype or torch.float32)


def register_flow(name: str, load: Loader) -> None:
    """Register an optical-flow algorithm from outside of the package.

    Args:
        name: The value of `flow.algorithm` in recipes.
        load: Called with a torch device and the dtype of convolutions; returns the estimator: a
            function from uint8 RGB frames (n + 1, 3, H, W) to float32 flow (n, 2, H, W), in pixels
            to the right and down, on the same device.

    Raises:
        InputError: If another module has registered the name.

    Example:
        >>> import torch
        >>> import vad_toolkit as vad
        >>> def no_motion(frames):
        ...     return torch.zeros(len(frames) - 1, 2, *frames.shape[2:], device=frames.device)
        >>> vad.register_flow("none", lambda device, dtype: no_motion)
        >>> settings = {"streams": ["flow"], "weights": "i3d-flow-random", "flow.algorithm": "none"}
        >>> vad.load_recipe("i3d-rgb-center", settings).flow.algorithm
        'none'
    """
    FLOWS.register(name, load)
