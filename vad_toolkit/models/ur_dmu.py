"""UR-DMU, dual memory units with uncertainty regulation: Zhou et al., AAAI 2023.

Written from the paper (section 3): a transformer with global and local attention in parallel, two
memories of prototypes, one for normal and one for abnormal snippets, and normal features that are
drawn from a learned Gaussian. Sizes that the paper leaves open are chosen to give the authors'
8,065,793 parameters (D = 2048).
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from vad_toolkit.core.settings import Settings
from vad_toolkit.models.base import Method, MilModel, Output, hide, unfold_crops
from vad_toolkit.models.config import (
    DataConfig,
    LossWeight,
    MethodLosses,
    OptimiserConfig,
    Pairs,
    Probability,
    TopDivisor,
    TrainConfig,
    Width,
)
from vad_toolkit.models.losses import cross_entropy, mil, top_selection
from vad_toolkit.models.temporal import attend, distance_mean, distance_reach, split_heads

TRIPLET_MARGIN = 1.0
MAGNITUDE_MARGIN = 100.0
LOCAL_SCALE = math.e  # of the local attention's exp(-|i - j| / e)


class UrDmu(MilModel):
    """Embedding, transformer, dual memory, and an MLP 2 d -> 128 -> 1 on each snippet.

    In training a batch must consist of pairs: the features of its first half are drawn from the
    Gaussian of normal videos.
    """

    weighted_terms = ("memory", "triplet", "kl", "distance")
    config: UrDmuConfig

    def __init__(self, input_dim: int, config: UrDmuConfig) -> None:
        super().__init__(input_dim, config)
        head = config.head
        self.embed = nn.Conv1d(self.input_width, head.width, 3, padding="same")
        self.layers = nn.ModuleList(Layer(head) for _ in range(head.layers))
        self.normal_memory = Memory(head.memory, head.width)
        self.abnormal_memory = Memory(head.memory, head.width)
        self.mean = nn.Linear(head.width, head.width)
        self.log_variance = nn.Linear(head.width, head.width)
        self.score = nn.Sequential(
            nn.Linear(2 * head.width, head.score_hidden), nn.ReLU(), nn.Linear(head.score_hidden, 1)
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Output:
        """Score every snippet; see `MilModel.forward`. `features` is the transformer's output."""
        crops = x.shape[1]
        x, in_batch = self.prepare(x, mask)  # (N, D, T), N = B * C
        h = keep_real(torch.relu(self.embed(x)).transpose(1, 2), in_batch)  # (N, T, d)
        for layer in self.layers:
            h = keep_real(layer(h, in_batch), in_batch)
        to_normal, normal = self.normal_memory(h)  # (N, T), (N, T, d)
        to_abnormal, abnormal = self.abnormal_memory(h)
        normal_mean, abnormal_mean = self.mean(normal), self.mean(abnormal)
        normal_drawn = normal_mean
        parts: dict[str, Tensor] = {}
        if self.training:
            half = len(h) // 2
            log_variance = self.log_variance(normal[:half])
            noise = torch.randn_like(log_variance) * torch.exp(0.5 * log_variance)
            normal_drawn = torch.cat([normal_mean[:half] + noise, normal_mean[half:]])
            half_mask = None if in_batch is None else in_batch[:half]
            rows = None if in_batch is None else in_batch[:, 0]  # (N, T)
            like_normal = top_selection(to_normal, self.top_divisor, rows, more=1)
            like_abnormal = top_selection(to_abnormal, self.top_divisor, rows, more=1)

            def top_mean(features: Tensor, weight: Tensor) -> Tensor:
                return unfold_crops(torch.einsum("ntd,nt->nd", features, weight), crops).mean(dim=1)

            anchor = F.normalize(top_mean(h[:half], like_normal[:half]), dim=1)  # (b, d)
            positive = F.normalize(top_mean(h[half:], like_normal[half:]), dim=1)
            negative = F.normalize(top_mean(h[half:], like_abnormal[half:]), dim=1)
            normal_size = top_mean(normal_drawn[:half], like_normal[:half]).norm(dim=1)
            abnormal_size = top_mean(abnormal_mean[half:], like_abnormal[half:]).norm(dim=1)
            parts = {
                "to_normal": self.average_crops(to_normal, mask, crops),  # (B, T)
                "to_abnormal": self.average_crops(to_abnormal, mask, crops),
                "kl": gaussian_distance(normal_mean[:half], log_variance, half_mask),
                "triplet": F.triplet_margin_loss(anchor, positive, negative, TRIPLET_MARGIN),
                "distance": torch.relu(MAGNITUDE_MARGIN - abnormal_size + normal_size).mean(),
            }
        joined = torch.cat([h, normal_drawn + abnormal_mean], dim=2)  # (N, T, 2 d)
        return self.output(self.score(joined), h, mask, crops, parts)

    def losses(self, output: Output) -> dict[str, Tensor]:
        """Return mil, memory (the sum of four), triplet, kl and distance of a batch of pairs."""
        parts, mask = output.parts, output.mask
        selection = top_selection(output.scores, self.top_divisor, mask, more=1)
        masks = (None, None) if mask is None else mask.chunk(2)
        normal_to_normal, abnormal_to_normal = parts["to_normal"].chunk(2)
        normal_to_abnormal, abnormal_to_abnormal = parts["to_abnormal"].chunk(2)
        return {
            "mil": mil(output.scores, selection),
            "memory": all_snippets(normal_to_normal, 1.0, masks[0])
            + all_snippets(normal_to_abnormal, 0.0, masks[0])
            + self._top_snippets(abnormal_to_abnormal, masks[1])
            + self._top_snippets(1 - abnormal_to_normal, masks[1]),
            **{name: parts[name] for name in ("triplet", "kl", "distance")},
        }

    def _top_snippets(self, values: Tensor, mask: Tensor | None) -> Tensor:
        """Return the cross-entropy of the mean over each video's top K against 1."""
        selection = top_selection(values, self.top_divisor, mask, more=1)
        means = (values * selection).sum(dim=1)
        return cross_entropy(means, torch.ones_like(means))


class Layer(nn.Module):
    """Transformer layer: x + attention(norm(x)), then x + MLP(norm(x)).

    The attention is global and, weighted by distance, local.
    """

    def __init__(self, head: UrDmuHead) -> None:
        super().__init__()
        inner = head.heads * head.head_width
        self.reach = distance_reach(LOCAL_SCALE)
        self.heads = head.heads
        self.norm = nn.LayerNorm(head.width)
        self.project = nn.Linear(head.width, 4 * inner, bias=False)
        self.out = nn.Sequential(nn.Linear(2 * inner, head.width), nn.Dropout(head.dropout))
        self.mlp = nn.Sequential(
            nn.LayerNorm(head.width),
            nn.Linear(head.width, head.width),
            nn.GELU(),
            nn.Dropout(head.dropout),
            nn.Linear(head.width, head.width),
            nn.Dropout(head.dropout),
        )

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return (N, T, d) for x (N, T, d) and a mask (N, 1, T) or None."""
        q, k, v, near = self.project(self.norm(x)).chunk(4, dim=2)  # each (N, T, heads * width)
        q, k, v = (split_heads(t, self.heads) for t in (q, k, v))
        everywhere = attend(q, k, v, mask)  # (N, heads, T, width)
        near = distance_mean(hide(near.transpose(1, 2), mask), LOCAL_SCALE, mask)  # (N, inner, T)
        nearby = split_heads(near.transpose(1, 2), self.heads)
        both = torch.cat([everywhere, nearby], dim=3).transpose(1, 2).flatten(2)  # (N, T, 2 inner)
        x = x + self.out(both)
        result: Tensor = x + self.mlp(x)
        return result


class Memory(nn.Module):
    """Prototypes M, compared by S = sigmoid(X M^T / sqrt(d)); scores average its highest values."""

    def __init__(self, slots: int, width: int) -> None:
        super().__init__()
        self.top = slots // 16 + 1
        bound = width**-0.5
        self.slots = nn.Parameter(torch.empty(slots, width).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores (N, T) in [0, 1] and S M (N, T, d) for x (N, T, d)."""
        fit = torch.sigmoid(x @ self.slots.T / math.sqrt(x.shape[2]))  # (N, T, slots)
        return fit.topk(self.top, dim=2).values.mean(dim=2), fit @ self.slots


def all_snippets(values: Tensor, target: float, mask: Tensor | None) -> Tensor:
    """Return the mean cross-entropy of all real snippets (B, T) against one target."""
    chosen = values.flatten() if mask is None else values[mask]
    return cross_entropy(chosen, torch.full_like(chosen, target))


def keep_real(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return x (N, T, d) with zeros where `mask` (N, 1, T) is False."""
    return hide(x, None if mask is None else mask.transpose(1, 2))


def gaussian_distance(mean: Tensor, log_variance: Tensor, mask: Tensor | None) -> Tensor:
    """Return the KL divergence of N(mean, variance), each (N, T, d), from N(0, 1).

    It is summed over real snippets (mask (N, 1, T)), and averaged over N and d.
    """
    kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp())
    return keep_real(kl, mask).sum(dim=1).mean()


class UrDmuHead(Settings):
    """Widths of the transformer, the memories and the score MLP."""

    width: Width = 512
    layers: Annotated[int, Field(ge=1, le=64)] = 2
    heads: Annotated[int, Field(ge=1, le=256)] = 4
    head_width: Width = 128
    memory: Width = 60  # prototypes in each of the two memories
    dropout: Probability = 0.5
    score_hidden: Width = 128
    VERSION_1 = frozenset(__annotations__)


class UrDmuLosses(MethodLosses):
    """Weights of the terms beside MIL (weight 1)."""

    memory: LossWeight = 0.1
    triplet: LossWeight = 0.1
    kl: LossWeight = 1e-3
    distance: LossWeight = 1e-4
    top_divisor: TopDivisor = 16
    VERSION_1 = MethodLosses.VERSION_1 | frozenset(__annotations__)


class UrDmuConfig(TrainConfig):
    """Zhou et al. (AAAI 2023): Adam at 0.0001, 64 + 64 videos, 200 segments of raw features."""

    method: Literal["ur-dmu"] = "ur-dmu"
    head: UrDmuHead = UrDmuHead()
    losses: UrDmuLosses = UrDmuLosses()
    pairs: Pairs = 64
    optimiser: OptimiserConfig = OptimiserConfig(
        learning_rate=1e-4, weight_decay=5e-5, clip_norm=0.0
    )
    data: DataConfig = DataConfig(segments=200, standardise=False)


METHOD = Method(
    UrDmuConfig, UrDmu, "dual memory units with uncertainty regulation, Zhou et al. (AAAI 2023)"
)
