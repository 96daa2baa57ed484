"""Winograd's minimal filtering F(2, 3), for kernels of three taps along time.

Two adjacent outputs of a kernel with three taps need four multiplications instead of six (Winograd,
1980; for networks Lavin and Gray, CVPR 2016, arXiv 1509.09308). With inputs d0 to d3 and taps g0 to
g2,

    y0 = m0 + m1 + m2,  y1 = m1 - m2 - m3,
    m0 = (d0 - d2) g0,  m1 = (d1 + d2) (g0 + g1 + g2) / 2,
    m3 = (d1 - d3) g2,  m2 = (d2 - d1) (g0 - g1 + g2) / 2.

Each product may also be a matrix product, or a convolution over other axes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def tiles(x: Tensor) -> Tensor:
    """Return the inputs of the four products: (N, T, ...) with an even T -> (4, N, T / 2, ...).

    Tile i takes positions 2i - 1 to 2i + 2 as d0 to d3. Positions outside of x are zeros.
    """
    even, odd = x[:, 0::2], x[:, 1::2]
    v = x.new_empty(4, *even.shape)
    torch.sub(odd[:, :-1], odd[:, 1:], out=v[0, :, 1:])
    torch.neg(odd[:, 0], out=v[0, :, 0])
    torch.add(even, odd, out=v[1])
    torch.sub(odd, even, out=v[2])
    torch.sub(even[:, :-1], even[:, 1:], out=v[3, :, :-1])
    v[3, :, -1] = even[:, -1]
    return v


def filters(weight: Tensor) -> Tensor:
    """Return the kernels of the four products: (o, i, 3, ...) -> (4, o, i, ...)."""
    first, middle, last = weight.unbind(2)
    outer, middle = (first + last) / 2, middle / 2
    return torch.stack([first, outer + middle, outer - middle, last])


def outputs(products: Sequence[Tensor]) -> Tensor:
    """Return the outputs of four products: each (N, T / 2, ...) -> (N, T, ...)."""
    first, both, change, last = products
    videos, half = first.shape[:2]
    y = first.new_empty(videos, half, 2, *first.shape[2:])
    torch.add(first, both, out=y[:, :, 0]).add_(change)
    torch.sub(both, change, out=y[:, :, 1]).sub_(last)
    return y.view(videos, 2 * half, *first.shape[2:])
