"""Batches in the sampler's order; where reading takes time, the next one is read meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

import torch
from torch import Tensor

from vad_toolkit.training.sampler import PairSampler
from vad_toolkit.training.videos import VideoTensors


@dataclass(frozen=True)
class Batch:
    """Videos (2b,) by row of the training set, and x, mask as `VideoTensors.gather` gives them."""

    videos: Tensor
    x: Tensor
    mask: Tensor | None


class Loader:
    """A context manager: `next` gives the batch of the next step.

    With `ahead`, a thread gathers one batch while a step is computed. `state` is the sampler's at
    the last batch that was given out, whatever was drawn ahead.
    """

    def __init__(
        self, data: VideoTensors, sampler: PairSampler, device: torch.device, *, ahead: bool
    ) -> None:
        self.data, self.sampler, self.device = data, sampler, device
        self.state = sampler.state()
        self._thread = ThreadPoolExecutor(1) if ahead else None
        self._coming: Future[Batch] | None = None

    def next(self) -> Batch:
        """The batch of the next step."""
        if self._thread is None:
            batch = self._gather(self.sampler.next())
            self.state = self.sampler.state()
            return batch
        batch = (self._coming or self._draw(self._thread.submit)).result()
        self.state = self.sampler.state()
        self._coming = self._draw(self._thread.submit)
        return batch

    def _draw(self, submit: Callable[..., Future[Batch]]) -> Future[Batch]:
        return submit(self._gather, self.sampler.next())

    def _gather(self, videos: Tensor) -> Batch:
        return Batch(videos, *self.data.gather(videos, self.device))

    def __enter__(self) -> Loader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)
