"""A video that passes through a model in blocks of snippets, with what it has in one piece.

A model's `forward` is the same for a block and for a whole video. What a snippet takes from its
neighbours comes from no further than `reach`: a block is given so many more snippets on each side,
and what comes out for those is left out. What is taken over all snippets of a video goes through
`mean_product`, `attended_mean` or `every_snippet`. In a plain forward pass these see the snippets
they are given; in `run_in_blocks` the first pass over the blocks gathers the first such value, each
block's forward pass ending where it is asked for. In the second pass that value is known and the
next one is gathered, and so on, until a pass reaches the model's end. With n such values a video is
read n + 1 times, and nothing is kept but them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn


def mean_product(a: Tensor, b: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of a_t b_t^T over the real snippets of a video.

    Args:
        a: (N, i, T).
        b: (N, j, T); one of the two is 0 where masked.
        mask: (N, 1, T) bool or None; None for a video in blocks.

    Returns:
        (N, i, j).
    """
    video = _in_blocks.get()
    if video is not None:
        return video.mean_product(a, b)
    snippets = a.shape[2] if mask is None else mask.sum(dim=2, keepdim=True).clamp(min=1)
    return a @ b.transpose(1, 2) / snippets


def attended_mean(logits: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Means of a video's snippets, weighted by softmax(logits) over its real ones.

    Args:
        logits: (N, i, T).
        values: (N, j, T).
        mask: (N, 1, T) bool or None; None for a video in blocks.

    Returns:
        (N, i, j).
    """
    video = _in_blocks.get()
    if video is not None:
        return video.attended_mean(logits, values)
    if mask is not None:
        logits = logits.masked_fill(~mask, torch.finfo(logits.dtype).min)
    return torch.softmax(logits, dim=2) @ values.transpose(1, 2)


def every_snippet(*rows: Tensor) -> tuple[Tensor, ...]:
    """What stands in each of `rows`, (..., T, d), for all snippets of a video: keys and values."""
    video = _in_blocks.get()
    return rows if video is None else video.every_snippet(rows)


def reach(module: nn.Module) -> int:
    """Snippets on each side that one snippet's output depends on, at most.

    A module says it as an attribute `reach`, its children included; a convolution's is that of its
    kernel. Else children are taken to follow one another, each used once, which is enough where
    they lie side by side. What is taken over the whole video does not count.
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
    """The result of `forward` for a whole video, `block` snippets and their margins at a time.

    Args:
        forward: gives (n,), a number a snippet, for the snippets [start, start + n) alone.
        snippets: of the video.
        reach: of the model in `forward`.
        block: at least 1. A video that is not longer passes in one piece, once.

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
                video.begin(start, slice(start - first, stop - first))
                with suppress(_BlockEnds):
                    done.append(forward(first, last)[video.own])
            if done:
                return torch.cat(done)
            video.end_pass()
    finally:
        _in_blocks.reset(entered)


class _BlockEnds(Exception):
    """Ends a block's forward pass at a value that is not known yet."""


class _Video:
    """What is known of a video that passes in blocks; values have the order they are asked for."""

    def __init__(self, snippets: int) -> None:
        self.snippets = snippets
        self.known: list[Any] = []
        self.gathered: Any = None  # of the first value that is not known
        self.asked = 0  # values, by the block in hand
        self.start = 0  # of that block's own snippets
        self.own = slice(None)  # where they stand among those that it was given

    def begin(self, start: int, own: slice) -> None:
        self.asked, self.start, self.own = 0, start, own

    def end_pass(self) -> None:
        self.known.append(self.gathered)
        self.gathered = None

    def mean_product(self, a: Tensor, b: Tensor) -> Tensor:
        def add(mean: Tensor | None) -> Tensor:
            part = a[..., self.own] @ b[..., self.own].transpose(1, 2) / self.snippets
            return part if mean is None else mean + part

        mean: Tensor = self._value(add)
        return mean

    def attended_mean(self, logits: Tensor, values: Tensor) -> Tensor:
        """The sums are kept for the highest logit so far, so that none overflows."""

        def add(sums: tuple[Tensor, Tensor, Tensor] | None) -> tuple[Tensor, Tensor, Tensor]:
            a, v = logits[..., self.own], values[..., self.own].transpose(1, 2)
            top = a.amax(dim=2, keepdim=True)  # (N, i, 1)
            if sums is not None:
                top = torch.maximum(top, sums[0])
            weight = torch.exp(a - top)
            total, product = weight.sum(dim=2, keepdim=True), weight @ v
            if sums is not None:
                fade = torch.exp(sums[0] - top)
                total, product = total + fade * sums[1], product + fade * sums[2]
            return top, total, product

        _, total, product = self._value(add)
        mean: Tensor = product / total
        return mean

    def every_snippet(self, rows: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        def add(whole: tuple[Tensor, ...] | None) -> tuple[Tensor, ...]:
            if whole is None:
                whole = tuple(x.new_empty(*x.shape[:-2], self.snippets, x.shape[-1]) for x in rows)
            for all_of_it, x in zip(whole, rows, strict=True):
                part = x[..., self.own, :]
                all_of_it[..., self.start : self.start + part.shape[-2], :] = part
            return whole

        whole: tuple[Tensor, ...] = self._value(add)
        return whole

    def _value(self, add: Callable[[Any], Any]) -> Any:
        """The value that is asked for; or add this block's part to it."""
        self.asked += 1
        if self.asked <= len(self.known):
            return self.known[self.asked - 1]
        self.gathered = add(self.gathered)
        raise _BlockEnds


_in_blocks: ContextVar[_Video | None] = ContextVar("_in_blocks", default=None)
