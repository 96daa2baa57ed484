"""The videos of a training set as tensors, in memory, in a mapped file or on a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

DEVICE_SHARE = 0.7  # of a GPU's free memory that the training set may fill


@dataclass(frozen=True)
class VideoTensors:
    """V videos of C crops and D numbers, video i of L_i segments, one after another in one buffer.

    flat: float16 or float32, (C * D * sum of L_i,): each video's (C, L_i, D), row by row.
    lengths: (V,) int64 on the CPU.
    """

    flat: Tensor
    lengths: Tensor
    crops: int
    width: int  # D

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def even(self) -> Tensor | None:
        """(V, C, T, D), where all videos have T segments."""
        if bool((self.lengths != self.lengths[0]).any()):
            return None
        return self.flat.view(len(self), self.crops, -1, self.width)

    @cached_property
    def _starts(self) -> list[int]:
        ends = self.lengths.cumsum(0) * (self.crops * self.width)
        return [0, *ends.tolist()]

    def video(self, index: int) -> Tensor:
        """(C, L, D) of one video, no copy."""
        start, stop = self._starts[index], self._starts[index + 1]
        return self.flat[start:stop].view(self.crops, -1, self.width)

    def place(self, device: torch.device) -> VideoTensors:
        """The same on a GPU where it fits beside the model, else where it is."""
        if device.type != "cuda":
            return self
        free, _ = torch.cuda.mem_get_info(device)
        if self.flat.nbytes >= DEVICE_SHARE * free:
            return self
        return VideoTensors(self.flat.to(device), self.lengths, self.crops, self.width)

    def gather(self, videos: Tensor, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """A batch of videos on `device`, in the type they are stored in.

        Args:
            videos: (n,) int64 on the CPU.

        Returns:
            x: (n, C, T, D), T that of the longest, zeros beyond a video's end; mask: (n, T) bool,
            True for real segments, or None where all are.
        """
        if self.even is not None:
            rows = _send(videos, self.even.device)
            return _send(self.even.index_select(0, rows), device), None
        lengths = self.lengths[videos]
        longest = int(lengths.max())
        x = self.flat.new_zeros(len(videos), self.crops, longest, self.width)
        for row, index in zip(x, videos.tolist(), strict=True):
            part = self.video(index)
            row[:, : part.shape[1]] = part
        mask = torch.arange(longest) < lengths[:, None]
        return _send(x, device), None if bool(mask.all()) else _send(mask, device)


def _send(x: Tensor, device: torch.device) -> Tensor:
    """`x` on `device`; from pinned memory to a GPU, so that nothing waits."""
    if device.type == "cuda" and x.device.type == "cpu":
        return x.pin_memory().to(device, non_blocking=True)
    return x.to(device)
