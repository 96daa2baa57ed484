"""Multiple-instance logistic regression: one weight per feature, the simplest baseline.

A linear score of each snippet is trained on the label of its video. With `losses.top_divisor` above
1, a video's loss is that of its highest-scoring snippets only, which are chosen anew in every step.
Adam with an L2 penalty ends at the same weights as any solver of this convex problem (for
`top_divisor` 1), only sooner or later.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from vad_toolkit.models.base import Method, MilModel, Output, at_least_float32
from vad_toolkit.models.config import (
    Count,
    MethodLosses,
    OptimiserConfig,
    Pairs,
    TopDivisor,
    TrainConfig,
    ValidationConfig,
)
from vad_toolkit.models.losses import pair_labels, top_selection


class Linear(MilModel):
    """One linear layer D -> 1 on each snippet alone, which begins at zero."""

    main_term = "cross_entropy"
    weighted_terms = ()
    config: LinearConfig

    def __init__(self, input_dim: int, config: LinearConfig) -> None:
        super().__init__(input_dim, config)
        self.score = nn.Linear(self.input_width, 1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Output:
        """Score every snippet; see `MilModel.forward`. `features` are the logits."""
        crops = x.shape[1]
        x, _ = self.prepare(x, mask)  # (N, D, T), N = B * C
        logits = at_least_float32(self.score(x.transpose(1, 2)))  # (N, T, 1)
        mean = self.average_crops(logits.squeeze(2), mask, crops)
        return self.output(logits, logits, mask, crops, {"logits": mean})

    def losses(self, output: Output) -> dict[str, Tensor]:
        """Return the cross-entropy of the selected snippets with their video's label."""
        logits = output.parts["logits"]  # (B, T)
        selection = top_selection(logits, self.top_divisor, output.mask)
        labels = pair_labels(logits)[:, None].expand_as(logits)
        each = nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        return {"cross_entropy": torch.sum(selection * each) / len(logits)}


class LinearLosses(MethodLosses):
    """Share of the snippets of a video that are trained: 1 / `top_divisor`."""

    top_divisor: TopDivisor = 1
    VERSION_1 = MethodLosses.VERSION_1


class LinearConfig(TrainConfig):
    """Logistic regression on all snippets, with a strong L2 penalty; trains in seconds.

    The problem is convex, so that no step is chosen, and all videos train.
    """

    method: Literal["linear"] = "linear"
    losses: LinearLosses = LinearLosses()
    steps: Count = 300
    pairs: Pairs = 64
    optimiser: OptimiserConfig = OptimiserConfig(weight_decay=0.2, clip_norm=0.0)
    validation: ValidationConfig = ValidationConfig(fraction=0.0)


METHOD = Method(LinearConfig, Linear, "multiple-instance logistic regression")
