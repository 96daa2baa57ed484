"""RTFM, robust temporal feature magnitude learning: Tian et al., ICCV 2021.

Written from the paper (sections 3.1 to 3.3): a multi-scale temporal network of a pyramid of dilated
convolutions and a non-local block. The magnitudes of the features choose the top K, and the loss
drives them apart by a margin. Sizes that the paper leaves open are chosen to give the authors'
24,718,849 parameters (D = 2048).
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from vad_toolkit.core.settings import Settings
from vad_toolkit.models.base import Method, MilModel, Output, abnormal_half, hide, score_mlp
from vad_toolkit.models.blocks import mean_product
from vad_toolkit.models.config import (
    DataConfig,
    LossWeight,
    MethodLosses,
    OptimiserConfig,
    Probability,
    TrainConfig,
    Width,
    WidthPair,
)
from vad_toolkit.models.losses import mil, smoothness, top_selection
from vad_toolkit.models.temporal import TimeBatchNorm

DILATIONS = (1, 2, 4)


class Rtfm(MilModel):
    """Features X + multi-scale(X), then an MLP D -> 512 -> 128 -> 1 on each snippet."""

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
        """Score every snippet; see `MilModel.forward`. Magnitudes are the norms of `features`."""
        crops = x.shape[1]
        x, in_batch = self.prepare(x, mask)  # (N, D, T), N = B * C
        features = self.dropout(hide(x + self.scales(x, in_batch), in_batch)).transpose(1, 2)
        return self.output(self.score(features), features, mask, crops)

    def losses(self, output: Output) -> dict[str, Tensor]:
        """Return mil, magnitude, smoothness and sparsity of a batch of pairs."""
        losses = self.config.losses
        magnitudes = output.features.norm(dim=3).mean(dim=1)  # (B, T)
        # Dropout excludes a share of the snippets, so that not always the same few are chosen.
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
    """Three parallel dilated convolutions and a non-local block, mixed back to D channels."""

    def __init__(self, input_dim: int, width: int) -> None:
        super().__init__()
        self.pyramid = nn.ModuleList(
            nn.Conv1d(input_dim, width, 3, dilation=d, padding="same") for d in DILATIONS
        )
        self.pyramid_norms = nn.ModuleList(TimeBatchNorm(width) for _ in DILATIONS)
        self.reduce = nn.Conv1d(input_dim, width, 1, bias=False)
        self.attend = NonLocal(width)
        joined = width * (len(DILATIONS) + 1)
        self.join = nn.Conv1d(joined, input_dim, 3, padding="same", bias=False)
        self.norm = TimeBatchNorm(input_dim)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return (N, D, T) for x (N, D, T), which must be 0 where masked."""
        layers = zip(self.pyramid, self.pyramid_norms, strict=True)
        views = [norm(torch.relu(conv(x)), mask) for conv, norm in layers]
        views.append(self.attend(hide(torch.relu(self.reduce(x)), mask), mask))
        joined = hide(torch.cat(views, dim=1), mask)  # (N, 4 d, T)
        return self.norm(torch.relu(self.join(joined)), mask)


class NonLocal(nn.Module):
    """Non-local block Z = X + BN(W(theta (phi^T g) / T)), attention by dot products.

    Without a softmax the product can be evaluated from the right, so that time and memory are
    linear in T. The last norm's weight is zero at initialization: the block starts as the identity.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = max(1, width // 2)
        self.theta, self.phi, self.g = (nn.Conv1d(width, inner, 1) for _ in range(3))
        self.out = nn.Conv1d(inner, width, 1)
        self.norm = TimeBatchNorm(width)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return (N, d, T) for x (N, d, T), which must be 0 where masked."""
        phi = hide(self.phi(x), mask)  # (N, d / 2, T)
        taken = mean_product(self.g(x), phi, mask)  # (N, d / 2, d / 2)
        return x + self.norm(self.out(taken @ self.theta(x)), mask)


def magnitude_separation(features: Tensor, selection: Tensor, margin: float) -> Tensor:
    """Return the mean over pairs and crops of (|margin - |top abnormal|| + |top normal|)^2.

    The top is the mean feature of the `selection` (2b, T), from `top_selection`. Features are
    (2b, C, T, D), normal videos first.
    """
    top = torch.einsum("nctd,nt->ncd", features, selection).norm(dim=2)  # (2b, C)
    normal, abnormal = top.chunk(2)
    loss: Tensor = ((margin - abnormal).abs() + normal).square().mean()
    return loss


class RtfmHead(Settings):
    """Widths of the multi-scale temporal network and the score MLP."""

    width: Width = 512  # of each scale
    dropout: Probability = 0.7
    score_hidden: WidthPair = (512, 128)
    VERSION_1 = frozenset(__annotations__)


class RtfmLosses(MethodLosses):
    """Weights of the terms beside MIL (weight 1)."""

    magnitude: LossWeight = 1e-4
    margin: Annotated[float, Field(ge=0, le=1e6)] = 100.0
    smoothness: LossWeight = 8e-4
    sparsity: LossWeight = 8e-3
    VERSION_1 = MethodLosses.VERSION_1 | frozenset(__annotations__)


class RtfmConfig(TrainConfig):
    """Tian et al. (ICCV 2021): Adam at 0.001, 32 + 32 videos, 32 segments of raw features."""

    method: Literal["rtfm"] = "rtfm"
    head: RtfmHead = RtfmHead()
    losses: RtfmLosses = RtfmLosses()
    optimiser: OptimiserConfig = OptimiserConfig(clip_norm=0.0)
    data: DataConfig = DataConfig(standardise=False)


METHOD = Method(RtfmConfig, Rtfm, "temporal feature magnitude learning, Tian et al. (ICCV 2021)")
