"""One step of training, the same for every method. It never waits for the device."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import get_ema_multi_avg_fn

from vad_toolkit.errors import VadError
from vad_toolkit.models.base import MilModel
from vad_toolkit.models.config import OptimiserConfig, TrainConfig


class TrainingStep:
    """Forward pass, weighted sum of the losses, gradient, clipping, and optimizer step."""

    def __init__(self, model: MilModel, config: TrainConfig) -> None:
        self.model = model
        self.mixed = config.precision == "bfloat16"
        self.clip_norm = config.optimiser.clip_norm or math.inf
        self.optimiser = build_optimiser(model, config.optimiser)

    def __call__(self, x: Tensor, mask: Tensor | None) -> dict[str, Tensor]:
        """Update the weights with one batch of pairs, as in `MilModel`, on the model's device.

        Returns `loss`, each of its terms without weight, and `gradient_norm` before clipping, as
        scalars on the device.
        """
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.mixed):
            output = self.model(x, mask)
        if self.mixed:  # losses are computed in float32
            output = replace(
                output,
                scores=output.scores.float(),
                features=output.features.float(),
                parts={name: part.float() for name, part in output.parts.items()},
            )
        terms = self.model.losses(output)
        weights = self.model.loss_weights
        loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimiser.step()
        return {LOSS: loss, **terms, NORM: norm}


def build_optimiser(model: MilModel, config: OptimiserConfig) -> torch.optim.Optimizer:
    """Return the optimizer of the config, over all parameters of the model."""
    weights, rate, decay = model.parameters(), config.learning_rate, config.weight_decay
    if config.name == "adam":  # fused: a single pass over memory
        return torch.optim.Adam(weights, lr=rate, weight_decay=decay, fused=True)
    if config.name == "adamw":
        return torch.optim.AdamW(weights, lr=rate, weight_decay=decay, fused=True)
    return torch.optim.Adagrad(weights, lr=rate, weight_decay=decay)


WARM_UP_STEPS = 10  # with a smaller decay, so that the untrained weights are soon forgotten


class MeanWeights:
    """A copy of a model with the exponential moving average of its weights.

    With decay a, the weights of step i have the weight a^(n - i) at step n: the average covers
    about 1 / (1 - a) steps, and fluctuates less than the weights of a single step. Statistics that
    are not weights (of batch norms and inputs) are copied. Nothing here waits for the device.
    """

    def __init__(self, model: MilModel, decay: float) -> None:
        """Start with the weights of `model`; `decay` is the share of the old average per step."""
        self._of, self._decay = model, decay
        self._mean = copy.deepcopy(model).requires_grad_(False)

    def add(self, step: int) -> None:
        """Add the weights after `step`, which counts from 1."""
        decay = min(self._decay, step / (step + WARM_UP_STEPS))
        weights = list(self._of.parameters())
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        average(list(self._mean.parameters()), weights, step)

    @property
    def model(self) -> MilModel:
        """The model with the average of the weights so far; its state is the whole state."""
        with torch.no_grad():
            for mean, latest in zip(self._mean.buffers(), self._of.buffers(), strict=True):
                mean.copy_(latest)
        return self._mean


LOSS, NORM = "loss", "gradient_norm"


class StepWatch:
    """Losses of the steps since the last line of the log, which stay on the device at first.

    Reading a number from a GPU waits for all of its queued work. Therefore a step only adds its
    numbers here, and `look`, called every few steps, finds the first that is not finite and names
    its videos.
    """

    def __init__(
        self, ids: Sequence[str], sums: Mapping[str, float] | None = None, steps: int = 0
    ) -> None:
        """Start empty or with a saved state; `ids` are those of the training set's rows."""
        self._ids, self._sums, self._counted = ids, dict(sums or {}), steps
        self._names: tuple[str, ...] = ()
        self._new: list[tuple[int, Tensor, Tensor]] = []  # step, rows of its videos, numbers (k,)

    def add(self, step: int, videos: Tensor, values: Mapping[str, Tensor]) -> None:
        """Add the numbers of a step, scalars on the device with `loss` and `gradient_norm`."""
        self._names = tuple(values)
        numbers = torch.stack([value.detach().float() for value in values.values()])
        self._new.append((step, videos, numbers))

    def look(self) -> None:
        """Wait for the device, and check every step since the last look.

        Raises:
            VadError: If a loss or a gradient is not finite. The message names the first such step
                and its videos.
        """
        if not self._new:
            return
        rows = torch.stack([numbers for *_, numbers in self._new]).double().cpu()  # (steps, k)
        loss, norm = (rows[:, self._names.index(name)] for name in (LOSS, NORM))
        bad = ~torch.isfinite(loss + norm)
        if bad.any():
            first = int(bad.nonzero()[0])
            step, videos, _ = self._new[first]
            names = ", ".join(self._ids[i] for i in videos.tolist())
            raise VadError(
                f"step {step}: the loss is {loss[first].item()} and the norm of its gradient "
                f"{norm[first].item()}; lower optimiser.learning_rate, or check the features of "
                f"these videos: {names}"
            )
        for name, total in zip(self._names, rows.sum(dim=0).tolist(), strict=True):
            self._sums[name] = self._sums.get(name, 0.0) + total
        self._counted += len(rows)
        self._new = []

    def means(self) -> dict[str, float]:
        """Look, and return the mean of each number over the steps since the last call."""
        sums, steps = self.state()
        self._sums, self._counted = {}, 0
        return {name: total / steps for name, total in sums.items()}

    def state(self) -> tuple[dict[str, float], int]:
        """Look, and return the sums since the last line and their number of steps."""
        self.look()
        return dict(self._sums), self._counted
