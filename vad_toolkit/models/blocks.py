"""Scoring of long videos in blocks of snippets, with the result of a single forward pass.

A model's `forward` is the same for a block and for a whole video. Local dependencies extend at most
`reach` snippets: a block gets that many additional snippets on each side, and their results are
dropped. Values over all snippets of a video are computed by `mean_product`, `attended_mean` or
`every_snippet`, which in a plain forward pass use the snippets they get. In `run_in_blocks`, the
first pass over the blocks accumulates the first such value, and each block's forward pass ends
where the model asks for it. In the second pass that value is known and the next one is accumulated,
and so on until a pass reaches the end of the model. With n such values a video is read n + 1 times,
and only these values are kept in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

Value = TypeVar("Value", Tensor, tuple[Tensor, ...])


def mean_product(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean (N, i, j) of a_t b_t^T over the real snippets of a video.

    Args:
        a: (N, i, T).
        b: (N, j, T). One of a and b must be 0 where masked.
        mask: (N, 1, T) bool or None; None for a video in blocks.
    """
    video = _in_blocks.get()
    if video is None:
        snippets = a.shape[2] if mask is None else mask.sum(dim=2, keepdim=True).clamp(min=1)
        return a @ b.transpose(1, 2) / snippets

    def add(mean: Tensor | None) -> Tensor:
        part = a[..., video.own] @ b[..., video.own].transpose(1, 2) / video.snippets
        return part if mean is None else mean + part

    return video.value(add)


def attended_mean(logits: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return means (N, i, j) of values over a video, weighted by softmax(logits).

    Args:
        logits: (N, i, T).
        values: (N, j, T).
        mask: (N, 1, T) bool or None; None for a video in blocks.
    """
    video = _in_blocks.get()
    if video is None:
        if mask is not None:
            logits = logits.masked_fill(~mask, torch.finfo(logits.dtype).min)
        return torch.softmax(logits, dim=2) @ values.transpose(1, 2)

    def add(sums: tuple[Tensor, ...] | None) -> tuple[Tensor, ...]:
        """Keep sums relative to the highest logit so far, so that they cannot overflow."""
        zero = logits.new_zeros(())
        before, total, product = sums or (zero - torch.inf, zero, zero)
        own = logits[..., video.own]
        highest = torch.maximum(own.amax(dim=2, keepdim=True), before)  # (N, i, 1)
        fade, weight = torch.exp(before - highest), torch.exp(own - highest)
        total = fade * total + weight.sum(dim=2, keepdim=True)
        product = fade * product + weight @ values[..., video.own].transpose(1, 2)
        return highest, total, product

    _, total, product = video.value(add)
    return product / total


def every_snippet(*rows: Tensor) -> tuple[Tensor, ...]:
    """Return each of `rows`, (..., T, d), for all snippets of a video, such as keys and values."""
    video = _in_blocks.get()
    if video is None:
        return rows

    def add(whole: tuple[Tensor, ...] | None) -> tuple[Tensor, ...]:
        if whole is None:
            whole = tuple(x.new_empty(*x.shape[:-2], video.snippets, x.shape[-1]) for x in rows)
        for all_of_it, x in zip(whole, rows, strict=True):
            part = x[..., video.own, :]
            all_of_it[..., video.start : video.start + part.shape[-2], :] = part
        return whole

    return video.value(add)


def reach(module: nn.Module) -> int:
    """Return how many snippets on each side the output for a snippet depends on, at most.

    A module can state it, for itself and its children, in an attribute `reach`; that of a
    convolution follows from its kernel. Otherwise the children are assumed to run one after the
    other, which is also enough if they run in parallel. Values over the whole video do not count.
    """
    stated = getattr(module, "reach", None)
    if isinstance(stated, int):
        return stated
    if isinstance(module, nn.Conv1d):
        return module.dilation[0] * (module.kernel_size[0] - 1) // 2
    return sum(reach(child) for child in module.children())


def run_in_blocks(
    forward: Callable[[int, int], Tensor], snippets: int, reach: int, block: int
) -> Tensor:
    """Return the result of `forward` for a whole video, computed in blocks.

    Args:
        forward: Called as `forward(start, stop)`; returns a number for each of these snippets.
        snippets: The number of snippets of the video.
        reach: The reach of the model in `forward`.
        block: Snippets per block, >= 1. A video that is not longer is passed once, as a whole.

    Returns:
        (snippets,).
    """
    if snippets <= block:
        return forward(0, snippets)
    video = _Video(snippets)
    entered = _in_blocks.set(video)
    try:
        while True:
            done = []
            for start in range(0, snippets, block):
                stop = min(start + block, snippets)
                first, last = max(0, start - reach), min(stop + reach, snippets)
                video.asked, video.start, video.own = 0, start, slice(start - first, stop - first)
                with suppress(_BlockEnds):
                    done.append(forward(first, last)[video.own])
            if done:
                return torch.cat(done)
            video.known.append(video.gathered)
            video.gathered = None
    finally:
        _in_blocks.reset(entered)


class _BlockEnds(Exception):
    """Signal that ends a block's forward pass at a value that is not known yet."""


class _Video:
    """The values over a video that are known so far, in the order in which the model asks."""

    def __init__(self, snippets: int) -> None:
        self.snippets = snippets
        self.known: list[Any] = []
        self.gathered: Any = None  # the part so far of the first value that is not known
        self.asked = 0  # number of values that the current block has asked for
        self.start = 0  # of the current block, without its margin
        self.own = slice(None)  # the place of the block's own snippets among those it gets

    def value(self, add: Callable[[Value | None], Value]) -> Value:
        """Return the next value if it is known; if not, add this block's part and end the block."""
        self.asked += 1
        if self.asked <= len(self.known):
            return cast(Value, self.known[self.asked - 1])
        self.gathered = add(self.gathered)
        raise _BlockEnds


_in_blocks: ContextVar[_Video | None] = ContextVar("_in_blocks", default=None)
