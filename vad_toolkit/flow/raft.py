"""RAFT optical flow with torchvision's networks and weights.

Source: Z. Teed, J. Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", ECCV 2020.
The weights are the authors', as ported by torchvision: `raft-large` was trained up to Sintel
("raft-sintel", which v-iashin/video_features uses), `raft-small` on FlyingThings3D. Padding and the
20 updates follow the authors; torchvision's default is 12 updates.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import WeightsEnum
from torchvision.models.optical_flow import (
    Raft_Large_Weights,
    Raft_Small_Weights,
    raft_large,
    raft_small,
)

from vad_toolkit.errors import WeightsError
from vad_toolkit.flow.estimator import check_frames

UPDATES = 20
STRIDE = 8  # the sides of an image must be multiples of it
SMALLEST_SIDE = 128  # after padding, so that the coarsest correlation volume has two cells
# Pixels per chunk of pairs. The correlations of a pair take (H W / 64)^2 * 5.3 bytes: 7.7 MB at
# 320x240, 1.1 GB at 1280x720.
CHUNK_PIXELS = {"cpu": 1, "cuda": 1 << 21}

WEIGHTS: Mapping[str, WeightsEnum] = {
    "raft-large": Raft_Large_Weights.C_T_SKHT_V1,
    "raft-small": Raft_Small_Weights.C_T_V1,
}
NETWORKS = {"raft-large": raft_large, "raft-small": raft_small}


class RAFT:
    """`FlowEstimator` that uses a network of torchvision.

    Args:
        network: In eval mode, on the device of the frames.
        dtype: The type of convolutions (autocast). Correlations and flow are float32.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype = torch.float32) -> None:
        self.network = network
        self.dtype = dtype

    @torch.inference_mode()
    def __call__(self, frames: Tensor) -> Tensor:
        check_frames(frames, 1)
        height, width = frames.shape[2:]
        left, right = _padding(width)
        top, bottom = _padding(height)
        pairs = len(frames) - 1
        chunk = max(1, CHUNK_PIXELS[frames.device.type] // (height * width))
        flow = torch.empty((pairs, 2, height, width), device=frames.device)
        for start in range(0, pairs, chunk):
            stop = min(start + chunk, pairs)
            images = frames[start : stop + 1].float() * (2 / 255) - 1
            images = F.pad(images, (left, right, top, bottom), mode="replicate")
            with torch.autocast(
                frames.device.type, self.dtype, enabled=self.dtype != torch.float32
            ):
                padded = self.network(images[:-1], images[1:], num_flow_updates=UPDATES)[-1]
            flow[start:stop] = padded[:, :, top : top + height, left : left + width]
        return flow


def load_raft(algorithm: str, device: torch.device, dtype: torch.dtype = torch.float32) -> RAFT:
    """Load RAFT with its weights from torchvision's cache.

    Args:
        algorithm: A name of `WEIGHTS`.
        device: The device of the frames.
        dtype: The type of convolutions.

    Raises:
        WeightsError: If the weights are missing or damaged.
    """
    file = weights_file(algorithm)
    if not file.is_file():
        raise WeightsError(
            f"weights {algorithm} are not at {file}; run `vad weights get {algorithm}`, or copy "
            "the file there"
        )
    network = NETWORKS[algorithm]()
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        network.load_state_dict(state)
    except Exception as error:
        raise WeightsError(
            f"{file} does not hold the weights {algorithm}; delete it and run "
            f"`vad weights get {algorithm}`"
        ) from error
    return RAFT(network.eval().requires_grad_(False).to(device), dtype)


load_large = partial(load_raft, "raft-large")
load_small = partial(load_raft, "raft-small")


def weights_file(algorithm: str) -> Path:
    """Return the path in torchvision's cache; the name ends with the start of the sha256."""
    url: str = WEIGHTS[algorithm].url
    return Path(torch.hub.get_dir(), "checkpoints", url.rsplit("/", 1)[-1])


def download(algorithm: str) -> Path:
    """Download weights into torchvision's cache and verify their digest.

    Raises:
        WeightsError: If there is no connection, or the digest is wrong.
    """
    try:
        WEIGHTS[algorithm].get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise WeightsError(f"torchvision cannot download {algorithm} ({error})") from error
    return weights_file(algorithm)


def _padding(side: int) -> tuple[int, int]:
    """Return the pixels to add before and after a side, split in halves as by RAFT's authors."""
    missing = max(-side % STRIDE, SMALLEST_SIDE - side)
    return missing // 2, missing - missing // 2
