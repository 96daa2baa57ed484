"""Flow algorithms by name; importing this imports none of them."""

from __future__ import annotations

import torch

from vad_toolkit.errors import InputError
from vad_toolkit.flow.estimator import FlowEstimator

NETWORKS: tuple[str, ...] = ("raft-large", "raft-small")  # with weights, which have to be got
ALGORITHMS: tuple[str, ...] = ("tvl1", "tvl1-opencv", *NETWORKS)


def load_flow(
    algorithm: str, device: torch.device, dtype: torch.dtype = torch.float32
) -> FlowEstimator:
    """The estimator of that name, ready on `device`.

    Args:
        algorithm: one of `ALGORITHMS`.
        device: where frames will lie. `tvl1-opencv` takes them from there and computes on the CPU.
        dtype: of a network's convolutions; TV-L1 is always computed in float32.

    Raises:
        InputError: no such algorithm, or OpenCV is needed and not installed.
        WeightsError: RAFT's weights are not there, or damaged.
    """
    if algorithm == "tvl1":
        from vad_toolkit.flow.tvl1 import TVL1

        return TVL1()
    if algorithm == "tvl1-opencv":
        from vad_toolkit.flow.opencv import OpenCVTVL1

        return OpenCVTVL1()
    if algorithm in NETWORKS:
        from vad_toolkit.flow.raft import load_raft

        return load_raft(algorithm, device, dtype)
    raise InputError(f"unknown flow algorithm {algorithm!r}; allowed: {', '.join(ALGORITHMS)}")
