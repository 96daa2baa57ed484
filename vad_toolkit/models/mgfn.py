"""MGFN, magnitude-contrastive glance-and-focus network: Chen et al., AAAI 2023.

Written from the paper (sections 3.1 to 3.4): features with their magnitude as an additional input,
glance blocks that attend over the whole video, focus blocks that look at neighbors, and a
contrastive loss on the top magnitudes. Sizes that the paper leaves open are chosen to give the
authors' 28,652,773 parameters (D = 2048).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from vad_toolkit.core.settings import AsTuple, Settings
from vad_toolkit.models.base import Method, MilModel, Output, hide
from vad_toolkit.models.config import (
    DataConfig,
    LossWeight,
    MethodLosses,
    OptimiserConfig,
    Pairs,
    Probability,
    TrainConfig,
    Width,
)
from vad_toolkit.models.losses import mil, smoothness, top_selection
from vad_toolkit.models.temporal import TimeBatchNorm, attend, split_heads

Depth = Annotated[int, Field(ge=1, le=64)]


class Mgfn(MilModel):
    """Tokens and magnitude, three stages of blocks, a norm, and a score per snippet."""

    weighted_terms = ("contrast", "smoothness", "sparsity")
    config: MgfnConfig

    def __init__(self, input_dim: int, config: MgfnConfig) -> None:
        super().__init__(input_dim, config)
        head = config.head
        self.tokens = nn.Conv1d(self.input_width, head.widths[0], 3, padding="same")
        self.magnitude = nn.Conv1d(1, head.widths[0], 3, padding="same")
        kinds = (Glance, Focus, Focus)
        self.stages = nn.ModuleList(
            nn.ModuleList(Block(kind(width, head.head_width), width) for _ in range(depth))
            for kind, width, depth in zip(kinds, head.widths, head.depths, strict=True)
        )
        self.widen = nn.ModuleList(
            nn.Sequential(ChannelNorm(width), nn.Conv1d(width, wider, 1))
            for width, wider in pairwise(head.widths)
        )
        self.norm = nn.LayerNorm(head.widths[-1])
        self.score = nn.Linear(head.widths[-1], 1)
        self.select_dropout = nn.Dropout(head.dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Output:
        """Score every snippet; see `MilModel.forward`. `features` enter the last layer."""
        crops = x.shape[1]
        x, in_batch = self.prepare(x, mask)  # (N, D, T), N = B * C
        size = x.norm(dim=1, keepdim=True)  # (N, 1, T)
        h = self.tokens(x) + self.config.head.magnitude_share * self.magnitude(size)
        h = hide(h, in_batch)  # (N, w, T)
        for number, stage in enumerate(self.stages):
            if number:
                h = hide(self.widen[number - 1](h), in_batch)
            for block in stage.children():
                h = block(h, in_batch)
        features = self.norm(h.transpose(1, 2))  # (N, T, w)
        return self.output(self.score(features), features, mask, crops)

    def losses(self, output: Output) -> dict[str, Tensor]:
        """Return mil, contrast, smoothness and sparsity of a batch of pairs."""
        losses = self.config.losses
        magnitudes = output.features.norm(dim=3).mean(dim=1)  # (B, T)
        chance = self.select_dropout(torch.ones_like(magnitudes))
        selection = top_selection(magnitudes * chance, losses.top_divisor, output.mask)
        abnormal = output.scores.chunk(2)[1]
        return {
            "mil": mil(output.scores, selection),
            "contrast": magnitude_contrast(output.features, selection, losses.margin),
            "smoothness": smoothness(output.scores, output.mask),
            "sparsity": abnormal.norm(),
        }


class Block(nn.Module):
    """Residual block: x + conv(x), x + relation(x), x + MLP(x), with one of two relations."""

    def __init__(self, relation: nn.Module, width: int) -> None:
        super().__init__()
        self.near = nn.Conv1d(width, width, 3, padding="same")
        self.relation = relation
        self.mlp = nn.Sequential(
            ChannelNorm(width),
            nn.Conv1d(width, 4 * width, 1),
            nn.GELU(),
            nn.Conv1d(4 * width, width, 1),
        )

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return (N, w, T) for x (N, w, T), both 0 where masked."""
        x = hide(x + self.near(x), mask)
        x = hide(x + self.relation(x, mask), mask)
        return hide(x + self.mlp(x), mask)


class Glance(nn.Module):
    """Self-attention over the whole video."""

    def __init__(self, width: int, head_width: int) -> None:
        super().__init__()
        self.heads = max(1, width // head_width)
        inner = self.heads * head_width
        self.norm = ChannelNorm(width)
        self.project = nn.Conv1d(width, 3 * inner, 1, bias=False)
        self.out = nn.Conv1d(inner, width, 1)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return (N, w, T) for x (N, w, T), which must be 0 where masked."""
        inputs = self.project(self.norm(x)).transpose(1, 2).chunk(3, dim=2)  # each (N, T, inner)
        q, k, v = (split_heads(t, self.heads) for t in inputs)
        result: Tensor = self.out(attend(q, k, v, mask).transpose(2, 3).flatten(1, 2))
        return result


class Focus(nn.Module):
    """Self-attentional convolution: each head weights neighbors by one learned kernel."""

    KERNEL = 5

    def __init__(self, width: int, head_width: int) -> None:
        super().__init__()
        heads = max(1, width // head_width)
        inner = heads * head_width
        self.head_width = head_width
        self.norm = TimeBatchNorm(width)
        self.value = nn.Conv1d(width, inner, 1, bias=False)
        self.weigh = nn.Conv1d(heads, heads, self.KERNEL, padding="same", groups=heads)
        self.out = nn.Conv1d(inner, width, 1)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return (N, w, T) for x (N, w, T), which must be 0 where masked."""
        value = hide(self.value(hide(self.norm(x, mask), mask)), mask)  # (N, inner, T)
        kernel = self.weigh.weight.repeat_interleave(self.head_width, dim=0)  # (inner, 1, 5)
        assert self.weigh.bias is not None
        bias = self.weigh.bias.repeat_interleave(self.head_width)
        near = F.conv1d(value, kernel, bias, padding=self.KERNEL // 2, groups=len(kernel))
        result: Tensor = self.out(near)
        return result


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (N, w, T)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, w, T) for x (N, w, T)."""
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


def magnitude_contrast(features: Tensor, selection: Tensor, margin: float) -> Tensor:
    """Return the contrast loss: magnitudes alike within each label, `margin` apart between labels.

    The magnitude of a video and crop is the mean L1 norm of the top K. Squared differences within a
    label are averaged over all its pairs, and max(0, margin - difference)^2 over all pairs of a
    normal and an abnormal video; the second has weight 0.001, as in the authors' setting. Features
    are (2b, C, T, w), normal videos first, and the selection (2b, T) is from `top_selection`.
    """
    size = (features.abs().sum(dim=3) * selection[:, None]).sum(dim=2)  # (2b, C)
    normal, abnormal = size.chunk(2)  # (b, C)
    alike = sum(2 * kind.var(dim=0, correction=0).mean() for kind in (normal, abnormal))
    apart = (margin - (normal[:, None] - abnormal[None]).abs()).clamp(min=0).square().mean()
    return alike + 0.001 * apart


class MgfnHead(Settings):
    """Widths and depths of the three stages: a glance stage, then two focus stages."""

    widths: Annotated[tuple[Width, Width, Width], AsTuple] = (64, 128, 1024)
    depths: Annotated[tuple[Depth, Depth, Depth], AsTuple] = (3, 3, 2)
    head_width: Width = 64
    magnitude_share: LossWeight = 0.1  # of the magnitude that is added to the features
    dropout: Probability = 0.7  # of the snippets that can be chosen
    VERSION_1 = frozenset(__annotations__)


class MgfnLosses(MethodLosses):
    """Weights of the terms beside MIL (weight 1)."""

    contrast: LossWeight = 1e-3
    margin: Annotated[float, Field(ge=0, le=1e6)] = 200.0
    smoothness: LossWeight = 8e-4
    sparsity: LossWeight = 8e-3
    VERSION_1 = MethodLosses.VERSION_1 | frozenset(__annotations__)


class MgfnConfig(TrainConfig):
    """Chen et al. (AAAI 2023): Adam at 0.001, 16 + 16 videos, 32 segments of raw features."""

    method: Literal["mgfn"] = "mgfn"
    head: MgfnHead = MgfnHead()
    losses: MgfnLosses = MgfnLosses()
    pairs: Pairs = 16
    optimiser: OptimiserConfig = OptimiserConfig(weight_decay=5e-4, clip_norm=0.0)
    data: DataConfig = DataConfig(standardise=False)


METHOD = Method(
    MgfnConfig, Mgfn, "magnitude-contrastive glance-and-focus network, Chen et al. (AAAI 2023)"
)
