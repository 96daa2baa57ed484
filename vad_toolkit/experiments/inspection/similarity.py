"""Similarity of snippets within normal videos, and between normal and abnormal ones.

These are the two quantities that relative distance learning compares, measured on whole test
videos: C_n within a normal video, and C_top between the top K snippets of a normal and of an
abnormal video. The scores of the evaluated network select the top K for all networks, so that
networks differ only in their features.
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
    """Directions of the features of a video, per crop."""

    inside: Floats  # (C,) mean similarity of any two of its snippets; 1 for a single snippet
    top: Floats  # (C, d) mean unit vector of its top K


@dataclass(frozen=True, eq=False)
class Similarity:
    """Similarities of n normal and a abnormal videos, averaged over crops."""

    inside: Floats  # (n,) C_n
    across: Floats  # (n, a) C_top

    def share_apart(self, margin: float) -> float:
        """Return the share of pairs of videos with C_top < C_n - margin."""
        return float((self.across < self.inside[:, None] - margin).mean())


def top_snippets(snippet_scores: Floats, top_divisor: int) -> Floats:
    """Return (N,) weights: 1 / K for the K = max(1, N // top_divisor) highest scores, else 0."""
    selection = top_selection(torch.from_numpy(snippet_scores)[None], top_divisor)
    return np.asarray(selection[0])


def video_directions(
    model: MilModel, features: Features, selection: Floats, device: torch.device | str = "cpu"
) -> VideoDirections:
    """Return the directions of a video's features, (N, C, D); `selection` is of `top_snippets`.

    Raises:
        InputError: As `score_snippets`.
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
    """Return C_n of every normal video and C_top of every pair; both lists are not empty."""
    tops = [np.stack([video.top for video in videos]) for videos in (normal, abnormal)]
    crops = tops[0].shape[1]
    across = tops[0].reshape(len(normal), -1) @ tops[1].reshape(len(abnormal), -1).T / crops
    return Similarity(np.stack([video.inside.mean() for video in normal]), across)
