"""Similarity of snippets inside normal videos and between normal and abnormal ones.

The two quantities that relative distance learning compares (`models.relative_distance`), measured
on whole test videos: C_n, inside a normal video, and C_top, between the top K of a normal and the
top K of an abnormal video. Which snippets are the top K is decided once, by the scores of the
network that is evaluated: what differs between two networks is then their features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from vad_toolkit.models.base import MilModel
from vad_toolkit.models.clav_como.relative_distance import mean_similarity
from vad_toolkit.models.losses import top_selection
from vad_toolkit.scoring.snippet_scores import Features, pass_crops

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class VideoDirections:
    """A video's features on the unit sphere.

    inside: (C,) mean similarity of any two of its snippets, a crop; 1 for a single snippet.
    top: (C, d) mean unit vector of its top K, a crop.
    """

    inside: Floats
    top: Floats


@dataclass(frozen=True, eq=False)
class Similarity:
    """Of n normal and a abnormal videos, crops averaged.

    inside: (n,) C_n.
    across: (n, a) C_top.
    """

    inside: Floats
    across: Floats

    def share_apart(self, margin: float) -> float:
        """Share of the pairs in which C_top < C_n - margin."""
        return float((self.across < self.inside[:, None] - margin).mean())


def top_snippets(snippet_scores: Floats, top_divisor: int) -> Floats:
    """(N,) weights 1 / K on the K = max(1, N // top_divisor) highest scores, 0 elsewhere."""
    selection: Floats = top_selection(torch.from_numpy(snippet_scores)[None], top_divisor)[
        0
    ].numpy()
    return selection


def video_directions(
    model: MilModel,
    features: Features,
    selection: Floats,
    device: torch.device | str = "cpu",
) -> VideoDirections:
    """Pass a video through a network.

    Args:
        features: (N, C, D), N >= 1; see `score_snippets`, whose errors are raised.
        selection: (N,) of `top_snippets`.
    """
    weights = torch.from_numpy(selection).to(device)[None]  # (1, N)
    length = torch.tensor([features.shape[0]], device=device)
    inside, top = [], []
    for output in pass_crops(model, features, device):
        unit = F.normalize(output.features, dim=3)  # (1, c, N, d)
        inside.append(mean_similarity(unit, length)[0])
        top.append(torch.einsum("bctd,bt->bcd", unit, weights)[0])
    return VideoDirections(torch.cat(inside).cpu().numpy(), torch.cat(top).cpu().numpy())


def compare_videos(
    normal: Sequence[VideoDirections], abnormal: Sequence[VideoDirections]
) -> Similarity:
    """C_n of every normal video and C_top of every pair; both lists hold at least one video."""
    tops = [np.stack([video.top for video in videos]) for videos in (normal, abnormal)]
    crops = tops[0].shape[1]
    across = tops[0].reshape(len(normal), -1) @ tops[1].reshape(len(abnormal), -1).T / crops
    return Similarity(np.stack([video.inside.mean() for video in normal]), across)
