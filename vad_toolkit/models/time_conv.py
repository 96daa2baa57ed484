"""Convolutions over time with fewer multiplications: Winograd's minimal filtering, F(2, 3).

Two neighbouring outputs of a filter of three taps take four multiplications instead of six
(Winograd, 1980; for networks Lavin and Gray, CVPR 2016). With inputs d0 to d3 and taps g0 to g2,

    y0 = m0 + m1 + m2,  y1 = m1 - m2 - m3,
    m0 = (d0 - d2) g0,  m1 = (d1 + d2) (g0 + g1 + g2) / 2,
    m3 = (d1 - d3) g2,  m2 = (d2 - d1) (g0 - g1 + g2) / 2,

and each product is one matrix product over all videos, tiles and channels. Rounding is that of a
plain convolution.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

LEAST_INPUTS, LEAST_OUTPUTS = 128, 256  # below, the sums cost more than the products they save


def time_conv(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """As `conv1d` with "same" padding: (N, d, T), (o, d, k) with odd k, (o,) -> (N, o, T).

    Quickest for an `x` that is a view of (N, T, d); the result is one of (N, T, o). On a CPU wide
    filters of three taps take the way with fewer multiplications.
    """
    outputs, inputs, taps = weight.shape
    if taps == 1:
        return F.linear(x.transpose(1, 2), weight[:, :, 0], bias).transpose(1, 2)
    if (
        taps == 3
        and inputs >= LEAST_INPUTS
        and outputs >= LEAST_OUTPUTS
        and x.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
    ):
        return minimal_filtering(x.transpose(1, 2), weight, bias).transpose(1, 2)
    return F.conv1d(x, weight, bias, padding=taps // 2)


def minimal_filtering(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """(N, T, d), (o, d, 3), (o,) or None -> (N, T, o)."""
    snippets = x.shape[1]
    if snippets % 2:
        x = F.pad(x, (0, 0, 0, 1))
    result: Tensor = _MinimalFiltering.apply(x, weight, bias)
    return result[:, :snippets]


class _MinimalFiltering(torch.autograd.Function):
    """For an even T."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        videos, snippets, _ = x.shape
        v = _tiles(x)  # (4, R, d), R = N * T / 2
        u = _filters(weight)  # (4, o, d)
        m = torch.bmm(v, u.transpose(1, 2))  # (4, R, o)
        y = x.new_empty(m.shape[1], 2, m.shape[2])
        torch.add(m[0], m[1], out=y[:, 0]).add_(m[2])
        torch.sub(m[1], m[2], out=y[:, 1]).sub_(m[3])
        if bias is not None:
            y += bias
        ctx.save_for_backward(v, u)
        ctx.shape = x.shape
        return y.view(videos, snippets, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        v, u = ctx.saved_tensors
        y = grad.reshape(v.shape[1], 2, -1)
        m = y.new_empty(4, *y[:, 0].shape)  # (4, R, o)
        m[0] = y[:, 0]
        torch.add(y[:, 0], y[:, 1], out=m[1])
        torch.sub(y[:, 0], y[:, 1], out=m[2])
        torch.neg(y[:, 1], out=m[3])
        x_grad = weight_grad = bias_grad = None
        if ctx.needs_input_grad[0]:
            x_grad = _untile(torch.bmm(m, u), ctx.shape)
        if ctx.needs_input_grad[1]:
            weight_grad = _unfilter(torch.bmm(m.transpose(1, 2), v))
        if ctx.needs_input_grad[2]:
            bias_grad = m[1].sum(dim=0)
        return x_grad, weight_grad, bias_grad


def _tiles(x: Tensor) -> Tensor:
    """(N, T, d) -> (4, N * T / 2, d): tile i of a video holds snippets 2i - 1 to 2i + 2."""
    videos, snippets, width = x.shape
    even, odd = x[:, 0::2], x[:, 1::2]  # (N, T / 2, d)
    v = x.new_empty(4, videos, snippets // 2, width)
    torch.sub(odd[:, :-1], odd[:, 1:], out=v[0, :, 1:])
    torch.neg(odd[:, 0], out=v[0, :, 0])
    torch.add(even, odd, out=v[1])
    torch.sub(odd, even, out=v[2])
    torch.sub(even[:, :-1], even[:, 1:], out=v[3, :, :-1])
    v[3, :, -1] = even[:, -1]
    return v.view(4, -1, width)


def _untile(v: Tensor, shape: torch.Size) -> Tensor:
    """The gradient of `_tiles`."""
    videos, snippets, width = shape
    v = v.view(4, videos, snippets // 2, width)
    x = v.new_empty(shape)
    even, odd = x[:, 0::2], x[:, 1::2]
    torch.sub(v[1], v[2], out=even).add_(v[3])
    even[:, 1:] -= v[3, :, :-1]
    torch.add(v[1], v[2], out=odd).sub_(v[0])
    odd[:, :-1] += v[0, :, 1:]
    return x


def _filters(weight: Tensor) -> Tensor:
    """(o, d, 3) -> (4, o, d)."""
    first, middle, last = weight.unbind(2)
    outer = (first + last) / 2
    return torch.stack([first, outer + middle / 2, outer - middle / 2, last])


def _unfilter(u: Tensor) -> Tensor:
    """The gradient of `_filters`."""
    both = (u[1] + u[2]) / 2
    return torch.stack([u[0] + both, (u[1] - u[2]) / 2, both + u[3]], dim=2)
