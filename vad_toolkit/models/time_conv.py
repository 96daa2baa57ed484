"""Convolutions over time, on a CPU with Winograd's minimal filtering F(2, 3).

It needs fewer multiplications; each of its four products is one matrix product over all videos,
tiles and channels.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from vad_toolkit.core import winograd

LEAST_INPUTS, LEAST_OUTPUTS = 128, 256  # with fewer the sums cost more than the products save


def time_conv(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return the convolution (N, o, T) of x (N, d, T) with "same" padding, like torch's conv1d.

    The weight is (o, d, k) with odd k, the bias (o,) or None.
    """
    outputs, inputs, taps = weight.shape
    wide = inputs >= LEAST_INPUTS and outputs >= LEAST_OUTPUTS
    on_cpu = x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    if taps == 3 and wide and on_cpu:
        return minimal_filtering(x.transpose(1, 2), weight, bias).transpose(1, 2)
    return F.conv1d(x, weight, bias, padding=taps // 2)


def minimal_filtering(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the convolution (N, T, o) of x (N, T, d), weight (o, d, 3) and bias (o,) or None."""
    snippets = x.shape[1]
    if snippets % 2:
        x = F.pad(x, (0, 0, 0, 1))
    result: Tensor = _MinimalFiltering.apply(x, weight, bias)
    return result[:, :snippets]


class _MinimalFiltering(torch.autograd.Function):
    """Minimal filtering for an even T, with its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        videos, snippets, _ = x.shape
        v = winograd.tiles(x).flatten(1, 2)  # (4, R, d), R = N * T / 2
        u = winograd.filters(weight)  # (4, o, d)
        m = torch.bmm(v, u.transpose(1, 2))  # (4, R, o)
        y = winograd.outputs(m.reshape(4, videos, snippets // 2, -1).unbind())
        if bias is not None:
            y += bias
        ctx.save_for_backward(v, u)
        ctx.shape = x.shape
        return y

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


def _untile(v: Tensor, shape: torch.Size) -> Tensor:
    """Return the gradient of `winograd.tiles`."""
    videos, snippets, width = shape
    v = v.view(4, videos, snippets // 2, width)
    x = v.new_empty(shape)
    even, odd = x[:, 0::2], x[:, 1::2]
    torch.sub(v[1], v[2], out=even).add_(v[3])
    even[:, 1:] -= v[3, :, :-1]
    torch.add(v[1], v[2], out=odd).sub_(v[0])
    odd[:, :-1] += v[0, :, 1:]
    return x


def _unfilter(u: Tensor) -> Tensor:
    """Return the gradient of `winograd.filters`."""
    both = (u[1] + u[2]) / 2
    return torch.stack([u[0] + both, (u[1] - u[2]) / 2, both + u[3]], dim=2)
