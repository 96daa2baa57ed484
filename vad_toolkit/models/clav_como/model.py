"""CLAV + CoMo, our reconstruction of Cho et al., "Look Around for Anomalies", CVPR 2023.

No public implementation exists; docs/model.md lists which parts are known and which are inferred.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vad_toolkit.models.base import Method, MilModel, Output, abnormal_half, hide, score_mlp
from vad_toolkit.models.clav_como.class_activate import build_class_activate
from vad_toolkit.models.clav_como.como import CoMo
from vad_toolkit.models.clav_como.options import ClavComoConfig
from vad_toolkit.models.clav_como.relative_distance import relative_distance
from vad_toolkit.models.losses import mil, smoothness, top_selection
from vad_toolkit.models.time_conv import time_conv


class ClavComo(MilModel):
    """Embedding, class-activate features H, context-motion features G, a score per snippet."""

    weighted_terms = ("relative_distance", "smoothness", "sparsity")
    config: ClavComoConfig

    def __init__(self, input_dim: int, config: ClavComoConfig) -> None:
        super().__init__(input_dim, config)
        head = config.head
        self.tau = 1.0  # temperature of the class activation in training; 1 in evaluation
        self.distance_acts = True  # False before `distance_start`
        self.embed = nn.Conv1d(self.input_width, head.width, head.kernel, padding="same")
        self.dropout = nn.Dropout(head.embed_dropout)
        self.activate = build_class_activate(head)
        self.como = CoMo(head, self.input_width) if head.como else None
        self.score = score_mlp(head.width, head.score_hidden, head.dropout)

    def begin_step(self, progress: float) -> dict[str, float]:
        """Set tau, which falls linearly from `tau_start` to 1 over the first `tau_fraction`.

        Relative distance acts from `distance_start` on: with untrained scores the top-K sets are
        random, and separating them would only memorize videos.
        """
        head = self.config.head
        done = 1.0 if head.tau_fraction == 0 else min(1.0, progress / head.tau_fraction)
        self.tau = head.tau_start + done * (1.0 - head.tau_start)
        self.distance_acts = progress >= self.config.losses.distance_start
        return {"tau": self.tau}

    @property
    def loss_weights(self) -> Mapping[str, float]:
        """As `MilModel.loss_weights`, with 0 for relative distance before it acts."""
        weights = super().loss_weights
        return weights if self.distance_acts else {**weights, "relative_distance": 0.0}

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Output:
        """Score every snippet; see `MilModel.forward`.

        `features` is what relative distance compares (`losses.distance_of`).
        """
        crops = x.shape[1]
        x, in_batch = self.prepare(x, mask)  # (N, D, T), N = B * C
        e = time_conv(x, self.embed.weight, self.embed.bias)  # (N, d, T)
        e = hide(self.dropout(torch.relu(e)), in_batch)
        h = hide(self.activate(e, self.tau if self.training else 1.0), in_batch)  # (N, d, T)
        g = h if self.como is None else self.como(h, x, in_batch)  # (N, d, T)
        layer = self.score[:2](g.transpose(1, 2))  # (N, T, d_1), after its ReLU
        places = {"activated": h.transpose(1, 2), "fused": g.transpose(1, 2), "scorer": layer}
        compared = places[self.config.losses.distance_of]  # (N, T, d or d_1)
        return self.output(self.score[2:](layer), compared, mask, crops)

    def losses(self, output: Output) -> dict[str, Tensor]:
        """Return mil, relative_distance, smoothness and sparsity of a batch of pairs."""
        losses = self.config.losses
        if losses.select == "score":
            ranked_by = output.scores
        else:
            ranked_by = output.features.norm(dim=3).mean(dim=1)  # (B, T)
        selection = top_selection(ranked_by, losses.top_divisor, output.mask)
        abnormal, abnormal_mask = abnormal_half(output)
        return {
            "mil": mil(output.scores, selection),
            "relative_distance": relative_distance(
                output.features, selection, output.lengths, losses.margin
            ),
            "smoothness": smoothness(abnormal, abnormal_mask),
            "sparsity": abnormal.norm(),
        }


METHOD = Method(
    ClavComoConfig, ClavComo, "class-activate features and context-motion graphs (CVPR 2023)"
)
