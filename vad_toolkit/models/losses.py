"""Selection of the top-K snippets, and loss terms that several methods use.

MIL, smoothness and sparsity follow RTFM (Tian et al., ICCV 2021), the ranking hinge Sultani et al.
(CVPR 2018). A mask is (B, T) bool, True for real snippets; None if all are real.
"""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-6


def top_selection(
    values: Tensor, divisor: int, mask: Tensor | None = None, more: int = 0
) -> Tensor:
    """Return weights (B, T) that select each video's top K: 1 / K for these snippets, else 0.

    A weighted sum over T is the mean over the top K, also if K differs within a batch. The
    selection passes no gradient.

    Args:
        values: (B, T), by which snippets are ranked.
        divisor: K = max(1, L // divisor + `more`), at most L, for a video of L real snippets.
    """
    values = values.detach()
    videos, snippets = values.shape
    if mask is None:
        lengths = torch.full((videos, 1), snippets, device=values.device)
    else:
        values = values.masked_fill(~mask, -torch.inf)
        lengths = mask.sum(dim=1, keepdim=True)
    k = torch.minimum((lengths // divisor + more).clamp(min=1), lengths.clamp(min=1))  # (B, 1)
    most = min(snippets, max(1, snippets // divisor + more))
    chosen = values.topk(most, dim=1).indices  # (B, K)
    weight = (torch.arange(most, device=values.device) < k).to(values.dtype) / k
    return torch.zeros_like(values).scatter(1, chosen, weight)


def video_scores(scores: Tensor, divisor: int, mask: Tensor | None = None) -> Tensor:
    """Return the mean (B,) of each video's top-K snippet scores (B, T)."""
    return (scores * top_selection(scores, divisor, mask)).sum(dim=1)


def pair_labels(scores: Tensor) -> Tensor:
    """Return the labels (B,) of a batch of pairs: 0 (normal) in the first half, 1 in the second."""
    if scores.shape[0] % 2:
        raise ValueError(f"a batch of pairs must be even, got {scores.shape[0]} videos")
    labels = torch.zeros(scores.shape[0], dtype=scores.dtype, device=scores.device)
    labels[scores.shape[0] // 2 :] = 1
    return labels


def mil(scores: Tensor, selection: Tensor) -> Tensor:
    """Return the binary cross-entropy of each video's mean top-K score against its label."""
    return cross_entropy((scores * selection).sum(dim=1), pair_labels(scores))


def cross_entropy(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return the mean binary cross-entropy of probabilities (B,), kept EPSILON away from 0 and 1.

    Unlike torch's it passes NaN through, so that the training loop can name the batch.
    """
    p = probabilities.clamp(EPSILON, 1 - EPSILON)
    return -(labels * p.log() + (1 - labels) * (1 - p).log()).mean()


def smoothness(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the sum of (s_{t+1} - s_t)^2 within the videos of scores (B, T)."""
    change = scores[:, 1:] - scores[:, :-1]
    if mask is not None:
        change = change.masked_fill(~mask[:, 1:], 0.0)
    return change.square().sum()


def ranking(scores: Tensor, margin: float) -> Tensor:
    """Return the mean over all pairs of the batch of max(0, margin - max abnormal + max normal)."""
    normal, abnormal = scores.amax(dim=1).chunk(2)
    return torch.relu(margin - abnormal[None, :] + normal[:, None]).mean()
