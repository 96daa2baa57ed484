"""RAFT from torchvision, with weights that torchvision gives out.

Source: Z. Teed, J. Deng, "RAFT: Recurrent All-Pairs Field Transforms for Optical Flow", ECCV 2020.
The weights are the authors' own, as torchvision ported them: `raft-large` trained up to Sintel
("raft-sintel", with which v-iashin/video_features makes flow), `raft-small` on FlyingThings3D.
Padding and 20 updates are the authors' too; torchvision's default is 12 updates.
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
STRIDE = 8  # both sides of an image have to be multiples of it
SMALLEST_SIDE = 128  # padded, so that the coarsest of the correlation volumes has two cells
# Pixels of a chunk of pairs. A pair's correlations alone take (H W / 64)^2 * 5.3 bytes: 7.7 MB at
# 320x240, 1.1 GB at 1280x720.
CHUNK_PIXELS = {"cpu": 1, "cuda": 1 << 21}

WEIGHTS: Mapping[str, WeightsEnum] = {
    "raft-large": Raft_Large_Weights.C_T_SKHT_V1,
    "raft-small": Raft_Small_Weights.C_T_V1,
}
NETWORKS = {"raft-large": raft_large, "raft-small": raft_small}


class RAFT:
    """A `FlowEstimator` from a network of torchvision's, in eval mode on its device.

    `dtype`: of the convolutions, by autocast; correlations and flow are float32.
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
    """RAFT with its weights, from torchvision's cache.

    Args:
        algorithm: one of `WEIGHTS`.

    Raises:
        WeightsError: the weights are not there, or not what their name says.
    """
    file = weights_file(algorithm)
    if not file.is_file():
        raise WeightsError(
            f"no weights of {algorithm} at {file}: with a connection, run once "
            f"`vad weights get {algorithm}`, or put the file there"
        )
    network = NETWORKS[algorithm]()
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        network.load_state_dict(state)
    except Exception as error:
        raise WeightsError(
            f"{file} holds no weights of {algorithm}: remove it, and run "
            f"`vad weights get {algorithm}`"
        ) from error
    return RAFT(network.eval().requires_grad_(False).to(device), dtype)


load_large = partial(load_raft, "raft-large")
load_small = partial(load_raft, "raft-small")


def weights_file(algorithm: str) -> Path:
    """Where torchvision keeps these weights; the name ends with the start of their sha256."""
    url: str = WEIGHTS[algorithm].url
    return Path(torch.hub.get_dir(), "checkpoints", url.rsplit("/", 1)[-1])


def download(algorithm: str) -> Path:
    """Bring the weights into torchvision's cache, their digest checked.

    Raises:
        WeightsError: no connection, or another file than expected.
    """
    try:
        WEIGHTS[algorithm].get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise WeightsError(f"no weights of {algorithm} from torchvision: {error}") from error
    return weights_file(algorithm)


def _padding(side: int) -> tuple[int, int]:
    """Pixels before and after a side, up to a multiple of `STRIDE`, halved as RAFT's authors do."""
    missing = max(-side % STRIDE, SMALLEST_SIDE - side)
    return missing // 2, missing - missing // 2
