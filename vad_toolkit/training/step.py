"""One step of training, the same for every method. Nothing in it waits for the device."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from vad_toolkit.models.base import MilModel, Output
from vad_toolkit.training.config import OptimiserConfig, TrainConfig
from vad_toolkit.training.watch import LOSS, NORM


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
