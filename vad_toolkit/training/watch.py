"""Losses of the steps since the last line of the log, left on the device until they are looked at.

Reading a number off a GPU waits for all that it has been given to do. So a step only leaves its
numbers here; a look, every few steps, finds the first one that is not finite and names its videos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vad_toolkit.errors import VadError

LOSS, NORM = "loss", "gradient_norm"
MOST_STEPS = 1_000  # that are kept without a look


@dataclass(frozen=True)
class WatchState:
    """Sums over the steps since the last line, all of them looked at and found good."""

    sums: Mapping[str, float]
    steps: int


class StepWatch:
    """Collects a step's numbers; `look` raises where one of them is bad, `means` empties it."""

    def __init__(self, ids: Sequence[str], state: WatchState | None = None) -> None:
        """`ids`: what the videos are called, by row of the training set."""
        self._ids = ids
        self._sums = dict(state.sums) if state else {}
        self._counted = state.steps if state else 0
        self._names: tuple[str, ...] = ()
        self._rows: list[Tensor] = []  # (k,) float32 on the device, a step each
        self._videos: list[tuple[int, Tensor]] = []  # step and (2b,) rows of its videos

    def add(self, step: int, videos: Tensor, values: Mapping[str, Tensor]) -> None:
        """Keep the numbers of a step, scalars on the device, `loss` and `gradient_norm` too."""
        self._names = tuple(values)
        self._rows.append(torch.stack([value.detach().float() for value in values.values()]))
        self._videos.append((step, videos))
        if len(self._rows) >= MOST_STEPS:
            self.look()

    def look(self) -> None:
        """Wait for the device, and check every step since the last look.

        Raises:
            VadError: a loss or a gradient is not finite; names the first such step and its videos.
        """
        if not self._rows:
            return
        rows = torch.stack(self._rows).double().cpu()  # (steps, k)
        loss, norm = (rows[:, self._names.index(name)] for name in (LOSS, NORM))
        bad = ~torch.isfinite(loss + norm)
        if bad.any():
            first = int(bad.nonzero()[0])
            step, videos = self._videos[first]
            names = ", ".join(self._ids[i] for i in videos.tolist())
            raise VadError(
                f"step {step}: the loss is {loss[first].item()}, its gradient's norm "
                f"{norm[first].item()}; lower optimiser.learning_rate or look for what is wrong in "
                f"one of these videos: {names}"
            )
        for name, total in zip(self._names, rows.sum(dim=0).tolist(), strict=True):
            self._sums[name] = self._sums.get(name, 0.0) + total
        self._counted += len(rows)
        self._rows, self._videos = [], []

    def means(self) -> dict[str, float]:
        """Look, and give the mean of each number over the steps since the last call."""
        self.look()
        means = {name: total / self._counted for name, total in self._sums.items()}
        self._sums, self._counted = {}, 0
        return means

    def state(self) -> WatchState:
        """Look, and give what a resumed run needs to write the same next line."""
        self.look()
        return WatchState(dict(self._sums), self._counted)
