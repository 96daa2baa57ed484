"""Relative distance learning, our reconstruction from the figure of Cho et al. (CVPR 2023).

The snippets of a normal video must be more similar to each other than its top K are to the top K of
an abnormal video, by a margin: C_top < C_n - m on the unit sphere. Normal snippets are pulled
together and abnormal ones pushed away from them; abnormal ones are not pulled together.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def relative_distance(
    features: Tensor, selection: Tensor, lengths: Tensor, margin: float
) -> Tensor:
    """Return the mean over pairs and crops of max(0, C_top - C_n + margin).

    Args:
        features: (2b, C, T, d), normal videos first, 0 for snippets that are not real.
        selection: (2b, T), from `losses.top_selection`.
        lengths: (2b,), the number of real snippets of each video.
    """
    unit = F.normalize(features, dim=3)  # (2b, C, T, d)
    normal = unit.chunk(2)[0]
    inside = mean_similarity(normal, lengths.chunk(2)[0])  # (b, C)
    top_normal, top_abnormal = torch.einsum("nctd,nt->ncd", unit, selection).chunk(2)  # (b, C, d)
    across = (top_normal * top_abnormal).sum(dim=2)  # (b, C)
    return torch.relu(across - inside + margin).mean()


def mean_similarity(unit: Tensor, lengths: Tensor) -> Tensor:
    """Return C_n (B, C), the mean of <h_t, h_u> over all t != u; 1 for a single snippet.

    It is computed from the sum of the unit vectors (B, C, T, d), which are 0 for snippets that are
    not real: (|sum h|^2 - sum |h|^2) / (L (L - 1)), in time linear in T. `lengths` (B,) has L.
    """
    pairs = (lengths * (lengths - 1))[:, None]  # (B, 1)
    off_diagonal = unit.sum(dim=2).square().sum(dim=2) - unit.square().sum(dim=(2, 3))  # (B, C)
    return torch.where(pairs > 0, off_diagonal / pairs.clamp(min=1), 1.0)
