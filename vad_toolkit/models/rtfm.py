"""RTFM, robust temporal feature magnitude learning: Tian et al., ICCV 2021.

Written from the paper (sections 3.1 to 3.3): a multi-scale temporal network of a pyramid of dilated
convolutions and a non-local block; magnitudes of the features choose the top K, and are driven
apart by a margin. Where the paper leaves a size open it is the one of the authors' 24,718,849
parameters (D = 2048).
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import (
    BeforeValidator,
    Field,
)
from torch import Tensor, nn

from vad_toolkit.models.base import (
    MilModel,
    Output,
    abnormal_half,
    at_least_float32,
    hide,
    score_mlp,
    unfold_crops,
)
from vad_toolkit.models.blocks import mean_product
from vad_toolkit.models.config import (
    DataConfig,
    LossWeight,
    MethodConfig,
    MethodLosses,
    OptimiserConfig,
    Probability,
    Strict,
    TrainConfig,
    Width,
    _to_tuple,
)
from vad_toolkit.models.losses import mil, smoothness, top_selection
from vad_toolkit.models.temporal import TimeBatchNorm

DILATIONS = (1, 2, 4)


class Rtfm(MilModel):
    """X + multi-scale(X), then D -> 512 -> 128 -> 1 a snippet."""

    weighted_terms = ("magnitude", "smoothness", "sparsity")
    config: RtfmConfig

    def __init__(self, input_dim: int, config: RtfmConfig) -> None:
        super().__init__(input_dim, config)
        head = config.head
        self.scales = MultiScale(self.input_width, head.width)
        self.dropout = nn.Dropout(head.dropout)
        self.select_dropout = nn.Dropout(head.dropout)
        self.score = score_mlp(self.input_width, head.score_hidden, head.dropout)
        for layer in self.modules():
            if isinstance(layer, nn.Linear | nn.Conv1d):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Output:
        """Score every snippet; see `MilModel.forward`. `features`: what magnitudes are taken of."""
        crops = x.shape[1]
        x, in_batch = self.prepare(x, mask)  # (N, D, T), N = B * C
        features = self.dropout(hide(x + self.scales(x, in_batch), in_batch)).transpose(1, 2)
        crop_scores = torch.sigmoid(at_least_float32(self.score(features))).squeeze(2)  # (N, T)
        return Output(
            scores=self.average_crops(crop_scores, mask, crops),  # (B, T)
            features=unfold_crops(features, crops),  # (B, C, T, D)
            mask=mask,
        )

    def losses(self, output: Output) -> dict[str, Tensor]:
        """mil, magnitude, smoothness and sparsity of a batch of pairs."""
        losses = self.config.losses
        magnitudes = output.features.norm(dim=3).mean(dim=1)  # (B, T)
        # In training a share of the snippets cannot be chosen, so that the same few are not always.
        chance = self.select_dropout(torch.ones_like(magnitudes))
        selection = top_selection(magnitudes * chance, losses.top_divisor, output.mask)
        abnormal, abnormal_mask = abnormal_half(output)
        return {
            "mil": mil(output.scores, selection),
            "magnitude": magnitude_separation(output.features, selection, losses.margin),
            "smoothness": smoothness(abnormal, abnormal_mask),
            "sparsity": abnormal.norm(),
        }


class MultiScale(nn.Module):
    """Three dilated convolutions and a non-local block side by side, mixed back to D channels."""

    def __init__(self, input_dim: int, width: int) -> None:
        super().__init__()
        self.pyramid = nn.ModuleList(
            nn.Conv1d(input_dim, width, 3, dilation=dilation, padding="same")
            for dilation in DILATIONS
        )
        self.pyramid_norms = nn.ModuleList(TimeBatchNorm(width) for _ in DILATIONS)
        self.reduce = nn.Conv1d(input_dim, width, 1, bias=False)
        self.attend = NonLocal(width)
        joined = width * (len(DILATIONS) + 1)
        self.join = nn.Conv1d(joined, input_dim, 3, padding="same", bias=False)
        self.norm = TimeBatchNorm(input_dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x: (N, D, T), 0 where masked -> (N, D, T)."""
        views = [
            norm(torch.relu(conv(x)), mask)
            for conv, norm in zip(self.pyramid, self.pyramid_norms, strict=True)
        ]
        views.append(self.attend(hide(torch.relu(self.reduce(x)), mask), mask))
        joined = hide(torch.cat(views, dim=1), mask)  # (N, 4 d, T)
        mixed: Tensor = self.norm(torch.relu(self.join(joined)), mask)
        return mixed


class NonLocal(nn.Module):
    """Z = X + BN(W(theta (phi^T g) / T)): every snippet takes from all, by dot products.

    Without a softmax the product can be taken from the right, so that time and memory are linear in
    T. The last norm's weight is zero at the start: the block begins as the identity.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = max(1, width // 2)
        self.theta = nn.Conv1d(width, inner, 1)
        self.phi = nn.Conv1d(width, inner, 1)
        self.g = nn.Conv1d(width, inner, 1)
        self.out = nn.Conv1d(inner, width, 1)
        self.norm = TimeBatchNorm(width)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x: (N, d, T), 0 where masked -> (N, d, T)."""
        phi = hide(self.phi(x), mask)  # (N, d / 2, T)
        taken = mean_product(self.g(x), phi, mask)  # (N, d / 2, d / 2)
        mixed: Tensor = self.norm(self.out(taken @ self.theta(x)), mask)
        return x + mixed


def magnitude_separation(features: Tensor, selection: Tensor, margin: float) -> Tensor:
    """Mean over pairs and crops of (|margin - |top abnormal|| + |top normal|)^2.

    Args:
        features: (2b, C, T, D), normals first.
        selection: (2b, T), weights 1 / K on each video's top K; the mean feature over them counts.
        margin: that abnormal magnitudes are drawn to; normal ones are drawn to 0.
    """
    top = torch.einsum("nctd,nt->ncd", features, selection).norm(dim=2)  # (2b, C)
    normal, abnormal = top.chunk(2)
    loss: Tensor = ((margin - abnormal).abs() + normal).square().mean()
    return loss


class RtfmHead(Strict):
    """Widths of the multi-scale temporal network and the score MLP."""

    width: Width = 512  # of each scale
    dropout: Probability = 0.7
    score_hidden: Annotated[tuple[Width, Width], BeforeValidator(_to_tuple)] = (512, 128)


class RtfmLosses(MethodLosses):
    """Weights of the terms beside MIL (weight 1)."""

    magnitude: LossWeight = 1e-4
    margin: Annotated[float, Field(ge=0, le=1e6)] = 100.0
    smoothness: LossWeight = 8e-4
    sparsity: LossWeight = 8e-3


class RtfmConfig(MethodConfig):
    """Robust temporal feature magnitude learning (Tian et al., ICCV 2021)."""

    method: Literal["rtfm"] = "rtfm"
    head: RtfmHead = RtfmHead()
    losses: RtfmLosses = RtfmLosses()


class RtfmTraining(RtfmConfig, TrainConfig):
    """Tian et al. (ICCV 2021): Adam at 0.001, 32 + 32 videos, 32 segments of raw features."""

    optimiser: OptimiserConfig = OptimiserConfig(clip_norm=0.0)
    data: DataConfig = DataConfig(standardise=False)
