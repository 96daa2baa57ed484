"""Which videos a step sees: pairs of a normal and an abnormal one, each list in shuffled epochs."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class PairSampler:
    """Gives b normal videos, then b abnormal ones; each list is gone through evenly, over and over.

    The lists differ in length and are shuffled apart, so pairs differ from epoch to epoch. A list
    shorter than b repeats inside a step. All chance comes from the seed.
    """

    def __init__(self, normal: Tensor, abnormal: Tensor, pairs: int, seed: int) -> None:
        """`normal`, `abnormal`: (n,) int64 indices of videos, neither empty."""
        if not len(normal) or not len(abnormal):
            raise ValueError("both lists need at least one video")
        self._generator = torch.Generator().manual_seed(seed)
        self.pairs = pairs
        self._normal = _Epochs(normal, self._generator)
        self._abnormal = _Epochs(abnormal, self._generator)

    def next(self) -> Tensor:
        """(2b,) int64, normals first."""
        return torch.cat([self._normal.take(self.pairs), self._abnormal.take(self.pairs)])

    def state(self) -> dict[str, Tensor]:
        """Where it stands, for `restore`."""
        return {
            "generator": self._generator.get_state(),
            "normal": self._normal.ahead,
            "abnormal": self._abnormal.ahead,
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from where a sampler of the same lists stood."""
        self._generator.set_state(state["generator"])
        self._normal.ahead = state["normal"]
        self._abnormal.ahead = state["abnormal"]


class _Epochs:
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
