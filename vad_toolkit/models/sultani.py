"""Multiple-instance ranking head of Sultani et al., CVPR 2018.

Written from the paper "Real-World Anomaly Detection in Surveillance Videos" (sections 3.2 and 4.1),
not from its code. The paper's input is C3D fc6.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from vad_toolkit.core.settings import Settings
from vad_toolkit.models.base import Method, MilModel, Output, abnormal_half
from vad_toolkit.models.config import (
    LossWeight,
    MethodLosses,
    OptimiserConfig,
    Pairs,
    Probability,
    TrainConfig,
    WidthPair,
)
from vad_toolkit.models.losses import ranking, smoothness


class Sultani(MilModel):
    """An MLP D -> 512 -> 32 -> 1 on each snippet alone: ReLU after the first layer only."""

    main_term = "ranking"
    weighted_terms = ("smoothness", "sparsity")
    config: SultaniConfig

    def __init__(self, input_dim: int, config: SultaniConfig) -> None:
        super().__init__(input_dim, config)
        first, second = config.head.hidden
        self.embed = nn.Sequential(
            nn.Linear(self.input_width, first), nn.ReLU(), nn.Dropout(config.head.dropout)
        )
        self.score = nn.Sequential(
            nn.Linear(first, second), nn.Dropout(config.head.dropout), nn.Linear(second, 1)
        )
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Output:
        """Score every snippet; see `MilModel.forward`. `features` is the first hidden layer."""
        crops = x.shape[1]
        x, _ = self.prepare(x, mask)  # (N, D, T), N = B * C
        hidden = self.embed(x.transpose(1, 2))  # (N, T, 512)
        return self.output(self.score(hidden), hidden, mask, crops)

    def losses(self, output: Output) -> dict[str, Tensor]:
        """Return ranking, smoothness and sparsity, each the mean over the pairs of a batch."""
        abnormal, abnormal_mask = abnormal_half(output)
        return {
            "ranking": ranking(output.scores, self.config.losses.margin),
            "smoothness": smoothness(abnormal, abnormal_mask) / len(abnormal),
            "sparsity": abnormal.sum() / len(abnormal),
        }


class SultaniHead(Settings):
    """Widths of the ranking head: D -> hidden[0] -> hidden[1] -> 1."""

    hidden: WidthPair = (512, 32)
    dropout: Probability = 0.6
    VERSION_1 = frozenset(__annotations__)


class SultaniLosses(MethodLosses):
    """Weights of the terms beside the ranking hinge (weight 1): the paper's two lambdas.

    `top_divisor` only matters for the score of a whole video in validation.
    """

    margin: Annotated[float, Field(ge=0, le=1)] = 1.0
    smoothness: LossWeight = 8e-5
    sparsity: LossWeight = 8e-5
    VERSION_1 = MethodLosses.VERSION_1 | frozenset(__annotations__)


class SultaniConfig(TrainConfig):
    """Sultani et al. (CVPR 2018): Adagrad at 0.001, batches of 30 + 30 videos, 32 segments."""

    method: Literal["sultani"] = "sultani"
    head: SultaniHead = SultaniHead()
    losses: SultaniLosses = SultaniLosses()
    pairs: Pairs = 30
    optimiser: OptimiserConfig = OptimiserConfig(name="adagrad", weight_decay=1e-3, clip_norm=0.0)


METHOD = Method(SultaniConfig, Sultani, "multiple-instance ranking, Sultani et al. (CVPR 2018)")
