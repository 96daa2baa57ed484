"""Clips of any videos to batches of one size, and the network's answers back to who asked.

A network that cuts crops itself has whole snippets for clips. A batch always has the same number of
clips (the last one is filled up with zeros), so that kernels
and memory are chosen once, and so that a clip's features do not depend on what shares its batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

CPU_CLIPS, CPU_CROPS = 2, 5  # a forward pass; the second where a snippet has as many crops, or ten
WHOLE_CROPS = 128  # a pass of whole snippets, of about so many crops: more is not faster
GPU_CLIPS = (8, 16, 32, 64, 128, 256)  # tried, until more is not faster
WORTH = 1.03  # how much faster a larger batch has to be for its memory

Receiver = Callable[[Tensor], None]


class Batcher:
    """Collects clips for one network.

    Args:
        network: `size` clips as they were added to features (size, ...).
        size: clips a batch. Halved for good when the device's memory does not hold one.
    """

    def __init__(self, network: Callable[[list[Tensor]], Tensor], size: int) -> None:
        self.size = size
        self.network = network
        self._waiting: list[tuple[Tensor, Receiver]] = []

    def add(self, clip: Tensor, receiver: Receiver) -> None:
        """Add a clip; `receiver` gets its features when its batch has been run."""
        self._waiting.append((clip, receiver))
        while len(self._waiting) >= self.size:
            self._run_first()

    def flush(self) -> None:
        """Run what waits, in batches filled up with zeros."""
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
        if features is None:  # outside the handler, which keeps the failed pass's tensors alive
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            return
        del self._waiting[: len(batch)]
        for (_, receiver), row in zip(batch, features, strict=False):
            receiver(row)


def find_batch(seconds: Callable[[int], float], sizes: Sequence[int] = GPU_CLIPS) -> int:
    """The smallest of `sizes` beyond which a device is no longer faster, or out of memory.

    Args:
        seconds: of one forward pass of so many clips; torch.OutOfMemoryError where they do not fit.
        sizes: rising.

    Raises:
        torch.OutOfMemoryError: not even the first fits.
    """
    chosen, best = sizes[0], sizes[0] / seconds(sizes[0])
    for size in sizes[1:]:
        try:
            rate = size / seconds(size)
        except torch.OutOfMemoryError:
            break
        if rate < best * WORTH:
            break
        chosen, best = size, rate
    return chosen


def time_passes(
    network: Callable[[Tensor], Tensor], shape: tuple[int, ...], like: Tensor
) -> Callable[[int], float]:
    """The `seconds` of `find_batch`: the faster of two passes of zeros, after one to warm up.

    Args:
        network: clips (size, *shape) to features.
        shape: of one clip.
        like: gives device and dtype; a CUDA device.
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
