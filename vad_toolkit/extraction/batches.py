"""Batches of clips from several videos, and their features back to the video that asked.

A batch always has the same number of clips (the last one is filled up with zeros), so that kernels
and memory are chosen once, and the features of a clip do not depend on the other clips.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

CPU_CLIPS, CPU_CROPS = 2, 5  # clips per pass on a CPU; the second with five or ten crops
WHOLE_CROPS = 128  # crops per pass of whole snippets on a GPU: more is not faster
GPU_CLIPS = (8, 16, 32, 64, 128, 256)  # tried until more is not faster
MIN_SPEEDUP = 1.03  # of a larger batch, to be worth its memory

Receiver = Callable[[Tensor], None]


class Batcher:
    """Collector of clips for one network.

    Args:
        network: A function of `size` clips that returns features (size, ...).
        size: Clips per batch; halved for good when the device runs out of memory.
    """

    def __init__(self, network: Callable[[list[Tensor]], Tensor], size: int) -> None:
        self.size = size
        self.network = network
        self._waiting: list[tuple[Tensor, Receiver]] = []

    def add(self, clip: Tensor, receiver: Receiver) -> None:
        """Add a clip; call `receiver` with its features when its batch is computed."""
        self._waiting.append((clip, receiver))
        while len(self._waiting) >= self.size:
            self._run_first()

    def flush(self) -> None:
        """Compute the waiting clips, in batches filled up with zeros."""
        while self._waiting:
            self._run_first()

    def _run_first(self) -> None:
        batch = self._waiting[: self.size]
        clips = [clip for clip, _ in batch]
        clips += [torch.zeros_like(clips[0])] * (self.size - len(clips))
        try:
            features = self.network(clips)
        except torch.OutOfMemoryError:
            if self.size == 1:
                raise
            self.size = (self.size + 1) // 2
            features = None
        if features is None:  # outside of the handler, which keeps the failed pass's tensors alive
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            return
        del self._waiting[: len(batch)]
        for (_, receiver), row in zip(batch, features, strict=False):
            receiver(row)


def find_batch(seconds: Callable[[int], float], sizes: Sequence[int] = GPU_CLIPS) -> int:
    """Return the smallest of rising batch sizes beyond which a device is not faster or runs full.

    Args:
        seconds: Measures a forward pass of a number of clips. Its torch.OutOfMemoryError is raised
            only if not even the first size fits.
        sizes: The sizes.
    """
    chosen, best = sizes[0], sizes[0] / seconds(sizes[0])
    for size in sizes[1:]:
        try:
            rate = size / seconds(size)
        except torch.OutOfMemoryError:
            break
        if rate < best * MIN_SPEEDUP:
            break
        chosen, best = size, rate
    return chosen


def time_passes(
    network: Callable[[Tensor], Tensor], shape: tuple[int, ...], like: Tensor
) -> Callable[[int], float]:
    """Return a function that measures passes of clips (size, *shape), like a CUDA tensor.

    Its result is the faster of two passes, after one to warm up.
    """

    def seconds(size: int) -> float:
        clips = like.new_zeros((size, *shape))
        found = []
        for _ in range(3):
            torch.cuda.synchronize(like.device)
            start = time.perf_counter()
            network(clips)
            torch.cuda.synchronize(like.device)
            found.append(time.perf_counter() - start)
        return min(found[1:])

    return seconds
