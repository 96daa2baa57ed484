"""Clips of any videos to batches of one shape, and the network's answers back to who asked.

A batch always has the same number of clips (the last one is filled up with zeros), so that kernels
and memory are chosen once, and so that a clip's features do not depend on what shares its batch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# Clips a forward pass where nothing else is asked for. Two fill the caches of a CPU best
# (benchmarks/extract.py); a GPU wants many.
BATCH_CLIPS = {"cpu": 2, "cuda": 64}

Receiver = Callable[[Tensor], None]


class Batcher:
    """Collects clips for one network.

    Args:
        network: clips as they were added, stacked, (size, frames, height, width, channels), to
            features (size, D).
        size: clips a batch. Halved for good when the device's memory does not hold one.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], size: int) -> None:
        self.size = size
        self._network = network
        self._waiting: list[tuple[Tensor, Receiver]] = []

    def add(self, clip: Tensor, receiver: Receiver) -> None:
        """Add a clip; `receiver` gets its features (D,) when its batch has been run."""
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
            features = self._network(torch.stack(clips))
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
