"""Batches of pairs in the sampler's order, which may be gathered ahead in a thread."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

import torch
from torch import Tensor

from vad_toolkit.training.data import VideoTensors


@dataclass(frozen=True)
class Batch:
    """Rows (2b,) of the training set, and their x and mask from `VideoTensors.gather`."""

    videos: Tensor
    x: Tensor
    mask: Tensor | None


class Loader:
    """Source of batches, as a context manager.

    With `ahead`, a thread gathers the next batch while a step is computed. `state` is the sampler's
    state after the last batch that `next` returned, whatever was drawn ahead.
    """

    def __init__(
        self, data: VideoTensors, sampler: PairSampler, device: torch.device, *, ahead: bool
    ) -> None:
        self.data, self.sampler, self.device = data, sampler, device
        self.state = sampler.state()
        self._thread = ThreadPoolExecutor(1) if ahead else None
        self._coming: Future[Batch] | None = None

    def next(self) -> Batch:
        """Return the batch of the next step."""
        coming, self._coming = self._coming, None
        batch = self._gather(self.sampler.next()) if coming is None else coming.result()
        self.state = self.sampler.state()
        if self._thread is not None:
            self._coming = self._thread.submit(self._gather, self.sampler.next())
        return batch

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


class PairSampler:
    """Sampler of b normal and b abnormal videos per step, each list in shuffled epochs.

    The lists are shuffled independently, so that pairs differ from epoch to epoch. A list shorter
    than b repeats within a step. All randomness comes from the seed.
    """

    def __init__(self, normal: Tensor, abnormal: Tensor, pairs: int, seed: int) -> None:
        """Start with `normal` and `abnormal`, (n,) int64 rows of videos, neither empty."""
        if not len(normal) or not len(abnormal):
            raise ValueError("both lists need at least one video")
        self._generator = torch.Generator().manual_seed(seed)
        self.pairs = pairs
        self._normal = _Epochs(normal, self._generator)
        self._abnormal = _Epochs(abnormal, self._generator)

    def next(self) -> Tensor:
        """Return the rows of the next step, (2b,) int64, normal videos first."""
        return torch.cat([self._normal.take(self.pairs), self._abnormal.take(self.pairs)])

    def state(self) -> dict[str, Tensor]:
        """Return the state for `restore`."""
        return {
            "generator": self._generator.get_state(),
            "normal": self._normal.ahead,
            "abnormal": self._abnormal.ahead,
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from the state of a sampler with the same lists."""
        self._generator.set_state(state["generator"])
        self._normal.ahead = state["normal"]
        self._abnormal.ahead = state["abnormal"]


class _Epochs:
    """Endless shuffled epochs of a list."""

    def __init__(self, videos: Tensor, generator: torch.Generator) -> None:
        self.videos = videos
        self.generator = generator
        self.ahead = videos[:0]

    def take(self, count: int) -> Tensor:
        while len(self.ahead) < count:
            order = torch.randperm(len(self.videos), generator=self.generator)
            self.ahead = torch.cat([self.ahead, self.videos[order]])
        taken, self.ahead = self.ahead[:count], self.ahead[count:]
        return taken
