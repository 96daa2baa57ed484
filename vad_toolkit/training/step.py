"""One step of training, the same for every method. Nothing in it waits for the device."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim.swa_utils import get_ema_multi_avg_fn

from vad_toolkit.errors import VadError
from vad_toolkit.models.base import MilModel, Output
from vad_toolkit.models.config import OptimiserConfig, TrainConfig


class TrainingStep:
    """Forward pass, named losses and their weighted sum, gradient, clipping, weights."""

    def __init__(self, model: MilModel, config: TrainConfig) -> None:
        self.model = model
        self.mixed = config.precision == "bfloat16"
        self.clip_norm = config.optimiser.clip_norm
        self.optimiser = build_optimiser(model, config.optimiser)

    def __call__(self, x: Tensor, mask: Tensor | None) -> dict[str, Tensor]:
        """Move the weights by one batch of pairs.

        Args:
            x: (2b, C, T, D) on the model's device, normals first.
            mask: (2b, T) bool, or None.

        Returns:
            `loss`, each term of it, and `gradient_norm` before clipping: scalars on the device.
        """
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.mixed):
            output = self.model(x, mask)
        terms = self.model.losses(as_float32(output) if self.mixed else output)
        weights = self.model.loss_weights
        loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = self._clip()
        self.optimiser.step()
        return {LOSS: loss, **terms, NORM: norm}

    def _clip(self) -> Tensor:
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        norm = get_total_norm(p.grad for p in parameters if p.grad is not None)
        if self.clip_norm:
            clip_grads_with_norm_(parameters, self.clip_norm, norm)
        return norm


def build_optimiser(model: MilModel, config: OptimiserConfig) -> torch.optim.Optimizer:
    """The optimiser that `config.name` names, over all parameters of the model."""
    weights, rate, decay = model.parameters(), config.learning_rate, config.weight_decay
    if config.name == "adam":  # fused: one pass over memory
        return torch.optim.Adam(weights, lr=rate, weight_decay=decay, fused=True)
    if config.name == "adamw":
        return torch.optim.AdamW(weights, lr=rate, weight_decay=decay, fused=True)
    return torch.optim.Adagrad(weights, lr=rate, weight_decay=decay)


def as_float32(output: Output) -> Output:
    """What mixed precision gave, for losses in float32."""
    return Output(
        scores=output.scores.float(),
        features=output.features.float(),
        mask=output.mask,
        parts={name: part.float() for name, part in output.parts.items()},
    )


# A running mean of the weights over steps: it wanders less than the weights of any one step.

WARM_UP_STEPS = 10  # so that the first weights, which nothing has trained yet, are soon forgotten


class MeanWeights:
    """A second model that holds the exponential moving average of the first one's weights.

    With share a of the old, weights w_i of step i are in it with a weight that falls as a^(n - i):
    it looks back over some 1 / (1 - a) steps. Statistics that are not weights (batch norm's, those
    of the inputs) are the first model's own. Nothing here waits for the device.
    """

    def __init__(self, model: MilModel, share: float) -> None:
        """`share`: of the old in the mean at each step, 0 to 1."""
        self._of, self._share = model, share
        self._mean = copy.deepcopy(model).requires_grad_(False)

    def add(self, step: int) -> None:
        """Take in the weights of `step`, which counts from 1."""
        share = min(self._share, step / (step + WARM_UP_STEPS))
        weights = list(self._of.parameters())
        average = get_ema_multi_avg_fn(share)  # type: ignore[no-untyped-call]
        average(list(self._mean.parameters()), weights, step)

    @property
    def model(self) -> MilModel:
        """The model of the mean, as of the last step taken in."""
        with torch.no_grad():
            for mean, latest in zip(self._mean.buffers(), self._of.buffers(), strict=True):
                mean.copy_(latest)
        return self._mean

    def state(self) -> dict[str, Tensor]:
        """What a resumed run needs."""
        return self.model.state_dict()

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from `state`. Raises RuntimeError where it is another model's."""
        self._mean.load_state_dict(tensors)


# Losses of the steps since the last line of the log, left on the device until they are looked at.
#
# Reading a number off a GPU waits for all that it has been given to do. So a step only leaves its
# numbers here; a look, every few steps, finds the first one that is not finite and names its
# videos.

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
