"""Layers over time that ignore masked snippets, shared by the methods."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vad_toolkit.models.base import at_least_float32
from vad_toolkit.models.blocks import every_snippet

MATRIX_SNIPPETS = 256  # up to this length a T x T matrix is faster than a long convolution


class TimeBatchNorm(nn.BatchNorm1d):
    """BatchNorm over videos and snippets whose statistics ignore masked snippets."""

    __call__: Callable[..., Tensor]

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return (N, d, T) for x (N, d, T); ignore values where mask (N, 1, T) is False."""
        if mask is None or not self.training:
            return super().forward(x)
        x = at_least_float32(x)
        weight = mask.to(x.dtype)
        count = weight.sum().clamp(min=1)
        mean = (x * weight).sum(dim=(0, 2)) / count  # (d,)
        centered = (x - mean[:, None]) * weight
        variance = centered.square().sum(dim=(0, 2)) / count
        self._track(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return centered * scale[:, None] + self.bias[:, None]

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


def window_mean(x: Tensor, window: int, mask: Tensor | None) -> Tensor:
    """Return the mean of x (N, d, T), 0 where masked, over the real snippets of each window."""
    if mask is None:
        return F.avg_pool1d(x, window, stride=1, padding=window // 2, count_include_pad=False)
    share = F.avg_pool1d(mask.to(x.dtype), window, stride=1, padding=window // 2)  # (N, 1, T)
    mean = F.avg_pool1d(x, window, stride=1, padding=window // 2)
    return mean / share.clamp(min=1 / window)


def distance_mean(x: Tensor, scale: float, mask: Tensor | None) -> Tensor:
    """Return means (N, d, T) over all snippets j, weighted by exp(-|i - j| / scale), for each i.

    x (N, d, T) must be 0 where the mask (N, 1, T) is False. For long videos the mean is over a
    window outside of which weights are below the resolution of float32, so that time and memory are
    linear in T.
    """
    snippets = x.shape[2]
    real = torch.ones_like(x[:, :1]) if mask is None else mask.to(x.dtype)  # (N, 1, T)
    if snippets <= MATRIX_SNIPPETS:
        place = torch.arange(snippets, device=x.device, dtype=x.dtype)
        weight = torch.exp(-(place[:, None] - place).abs() / scale)  # (T, T)
        return (x @ weight) / (real @ weight).clamp(min=torch.finfo(x.dtype).tiny)
    reach = distance_reach(scale)
    place = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    weight = torch.exp(-place.abs() / scale)[None, None]  # (1, 1, 2 reach + 1)
    rows = x.flatten(0, 1)[:, None]  # (N d, 1, T)
    total = F.conv1d(rows, weight, padding=reach).view_as(x)
    return total / F.conv1d(real, weight, padding=reach).clamp(min=torch.finfo(x.dtype).tiny)


def distance_reach(scale: float) -> int:
    """Return the snippets on each side that `distance_mean` uses; others weigh less than 4e-8."""
    return int(17 * scale) + 1


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Return softmax(q k^T / sqrt(d)) v over real snippets, all (N, heads, T, d).

    The mask is (N, 1, T) or None. Memory is linear in T if torch has a fused kernel.
    """
    k, v = every_snippet(k, v)
    keys = None if mask is None else mask[:, None]  # (N, 1, 1, T)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=keys)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Return x with the heads as a dimension, (N, T, heads * d) -> (N, heads, T, d)."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)
