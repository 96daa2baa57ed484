"""Layers over time that leave masked snippets out, shared by the methods."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vad_toolkit.models.base import at_least_float32, hide
from vad_toolkit.models.blocks import every_snippet

MATRIX_SNIPPETS = 256  # up to here one T x T matrix is quicker than a long convolution


class TimeBatchNorm(nn.BatchNorm1d):
    """BatchNorm over videos and snippets that leaves masked snippets out of its statistics."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x: (N, d, T); mask: (N, 1, T) bool or None. Masked places of the result mean nothing."""
        if mask is None or not self.training:
            return super().forward(x)
        x = at_least_float32(x)
        weight = mask.to(x.dtype)
        count = weight.sum().clamp(min=1)
        mean = (x * weight).sum(dim=(0, 2)) / count  # (d,)
        centred = (x - mean[:, None]) * weight
        variance = centred.square().sum(dim=(0, 2)) / count
        self._track(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return centred * scale[:, None] + self.bias[:, None]

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
    """Mean of x (N, d, T), 0 where masked, over the real snippets of a window around each."""
    if mask is None:
        return F.avg_pool1d(x, window, stride=1, padding=window // 2, count_include_pad=False)
    share = F.avg_pool1d(mask.to(x.dtype), window, stride=1, padding=window // 2)  # (N, 1, T)
    mean = F.avg_pool1d(x, window, stride=1, padding=window // 2)
    return mean / share.clamp(min=1 / window)


def distance_mean(x: Tensor, scale: float, mask: Tensor | None) -> Tensor:
    """Mean of x over all snippets, weighted by exp(-|i - j| / scale): near ones count most.

    Long videos take a window in which the weight falls below a float32's resolution, so that time
    and memory are linear in T.

    Args:
        x: (N, d, T), 0 where masked.
        mask: (N, 1, T) bool or None.
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
    """Snippets to each side that `distance_mean` looks at; beyond, the weight is under 4e-8."""
    return int(17 * scale) + 1


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """softmax(q k^T / sqrt(d)) v over real snippets.

    Args:
        q, k, v: (N, heads, T, d).
        mask: (N, 1, T) bool or None.

    Returns:
        (N, heads, T, d). Memory is linear in T where torch has a fused kernel.
    """
    k, v = every_snippet(k, v)
    keys = None if mask is None else mask[:, None]  # (N, 1, 1, T)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=keys)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(N, T, heads * d) -> (N, heads, T, d)."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def keep_real(x: Tensor, mask: Tensor | None) -> Tensor:
    """x: (N, T, d) with zeros where `mask` (N, 1, T) is False."""
    return hide(x, None if mask is None else mask.transpose(1, 2))
