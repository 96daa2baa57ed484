"""Choice of the top-K snippets and the loss terms that methods share.

MIL, smoothness and sparsity follow RTFM (Tian et al., ICCV 2021), the ranking hinge Sultani et al.
(CVPR 2018). A mask is (B, T) bool, True for real snippets; None: all are real.
"""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-6


def top_selection(
    values: Tensor, divisor: int, mask: Tensor | None = None, more: int = 0
) -> Tensor:
    """Which snippets are a video's top K, as weights (B, T): 1 / K on them, 0 elsewhere.

    K = max(1, L // divisor + more), at most L, for a video of L real snippets. A weighted sum over
    T is then the mean over the set, also where K differs in a batch. The choice passes no gradient.
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
    """(B, T) snippet scores -> (B,): the mean of each video's top K."""
    return (scores * top_selection(scores, divisor, mask)).sum(dim=1)


def pair_labels(scores: Tensor) -> Tensor:
    """(B,) labels of a batch of pairs, 0 for its first half (normal) and 1 for its second."""
    if scores.shape[0] % 2:
        raise ValueError(f"a batch of pairs is even (given: {scores.shape[0]} videos)")
    labels = torch.zeros(scores.shape[0], dtype=scores.dtype, device=scores.device)
    labels[scores.shape[0] // 2 :] = 1
    return labels


def mil(scores: Tensor, selection: Tensor) -> Tensor:
    """Binary cross-entropy between the mean score of each video's top K and its label."""
    return cross_entropy((scores * selection).sum(dim=1), pair_labels(scores))


def cross_entropy(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Mean binary cross-entropy of (B,) probabilities, kept EPSILON away from 0 and 1.

    Unlike torch's, it lets NaN through, so that the training loop can say which batch it came from.
    """
    p = probabilities.clamp(EPSILON, 1 - EPSILON)
    return -(labels * p.log() + (1 - labels) * (1 - p).log()).mean()


def smoothness(scores: Tensor, mask: Tensor | None = None) -> Tensor:
    """Sum of (s_{t+1} - s_t)^2 inside each video; never across the border of two videos."""
    change = scores[:, 1:] - scores[:, :-1]
    if mask is not None:
        change = change.masked_fill(~mask[:, 1:], 0.0)
    return change.square().sum()


def ranking(scores: Tensor, margin: float) -> Tensor:
    """Mean over all pairs in the batch of max(0, margin - max abnormal + max normal)."""
    normal, abnormal = scores.amax(dim=1).chunk(2)
    return torch.relu(margin - abnormal[None, :] + normal[:, None]).mean()
