"""What every method is to the rest of the toolkit: snippet scores, named loss terms, one output."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from vad_toolkit.errors import InputError
from vad_toolkit.models.config import MethodConfig


@dataclass(frozen=True)
class Output:
    """Result of a forward pass.

    scores: (B, T) in [0, 1], mean over crops; 0 where `mask` is False.
    features: (B, C, T, d), what scores are made from and losses compare; 0 where `mask` is False.
    mask: (B, T) bool, or None where every snippet is real.
    parts: what a method's own losses need beside these; only in training.
    """

    scores: Tensor
    features: Tensor
    mask: Tensor | None
    parts: Mapping[str, Tensor] = field(default_factory=dict)


class MilModel(nn.Module, ABC):
    """A network trained on pairs of bags and used a snippet at a time.

    A batch x is (B, C, T, D): B videos, C crops, T snippets, D features. In training the first half
    of a batch are normal videos, the second half abnormal ones; video i and B/2 + i are a pair.
    """

    main_term: ClassVar[str] = "mil"  # of weight 1
    weighted_terms: ClassVar[tuple[str, ...]]  # each named as its weight in `config.losses`

    def __init__(self, input_dim: int, config: MethodConfig) -> None:
        super().__init__()
        self.input_dim = input_dim
        self.config = config
        self.standardise = Standardise(input_dim)
        count = config.input.components
        self.components = Components(input_dim, count) if count else None
        self.input_width = count or input_dim  # of what the first layer sees

    @abstractmethod
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Output:
        """Score every snippet.

        Args:
            x: (B, C, T, D) float; any C and T of at least 1.
            mask: (B, T) bool, True for real snippets, which come first; None: all are real. A video
                in a masked batch gets the scores that it would get alone.
        """

    @abstractmethod
    def losses(self, output: Output) -> dict[str, Tensor]:
        """Named loss terms of a batch of pairs, each a scalar without its weight."""

    @property
    def loss_weights(self) -> Mapping[str, float]:
        """The weight of each term of `losses`; the loss is the weighted sum."""
        weights = {name: getattr(self.config.losses, name) for name in self.weighted_terms}
        return {self.main_term: 1.0, **weights}

    @property
    def top_divisor(self) -> int:
        """A whole video of T snippets scores the mean of its max(1, T // top_divisor) highest."""
        return self.config.losses.top_divisor

    def begin_step(self, progress: float) -> dict[str, float]:
        """Set what a schedule changes at `progress` in [0, 1) of training; return it to log."""
        return {}

    def prepare(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The network's input, crops folded into the batch, for convolutions over time.

        Standardised; its principal components, where the config asks for them; in training with
        Gaussian noise, drawn from torch's random state.

        Returns:
            x: (B*C, `input_width`, T), 0 where masked; mask: (B*C, 1, T) or None.
        """
        if x.ndim != 4 or x.shape[3] != self.input_dim:
            raise InputError(
                f"features of shape {tuple(x.shape)}: this model takes "
                f"(videos, crops, snippets, {self.input_dim})"
            )
        x = self.standardise(x).flatten(0, 1).transpose(1, 2)  # (N, D, T)
        if self.components is not None:
            x = self.components(x)
        if self.training and self.config.input.noise:
            x = x + self.config.input.noise * torch.randn_like(x)
        if mask is not None:
            mask = mask.repeat_interleave(x.shape[0] // mask.shape[0], dim=0)[:, None]  # (N, 1, T)
        return hide(x, mask), mask

    def average_crops(self, crop_scores: Tensor, mask: Tensor | None, crops: int) -> Tensor:
        """(B*C, T) scores a crop -> (B, T) scores a snippet, 0 where `mask` (B, T) is False."""
        return hide(unfold_crops(crop_scores, crops).mean(dim=1), mask)


def score_mlp(width: int, hidden: tuple[int, int], dropout: float) -> nn.Sequential:
    """width -> hidden -> hidden -> 1, ReLU and dropout between: a snippet's score as a logit."""
    first, second = hidden
    return nn.Sequential(
        nn.Linear(width, first),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(first, second),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(second, 1),
    )


def abnormal_half(output: Output) -> tuple[Tensor, Tensor | None]:
    """(B / 2, T) scores of a batch's abnormal videos, and their mask."""
    mask = None if output.mask is None else output.mask.chunk(2)[1]
    return output.scores.chunk(2)[1], mask


def unfold_crops(x: Tensor, crops: int) -> Tensor:
    """(B*C, ...) -> (B, C, ...)."""
    return x.reshape(-1, crops, *x.shape[1:])


def hide(x: Tensor, mask: Tensor | None) -> Tensor:
    """`x` with zeros (whatever stood there, NaN too) where `mask`, broadcast to it, is False."""
    return x if mask is None else x.masked_fill(~mask, 0.0)


def at_least_float32(x: Tensor) -> Tensor:
    """What mixed precision left in a shorter type, where rounding would pile up."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def lengths_of(output: Output) -> Tensor:
    """(B,) int64: real snippets of each video."""
    videos, snippets = output.scores.shape
    if output.mask is None:
        return torch.full((videos,), snippets, device=output.scores.device)
    return output.mask.sum(dim=1)


# What features become before a network's first layer. Fitted once, on the training videos.

RESOLUTION = 1e-10  # of variances: below so much of the largest there is nothing but rounding


class Standardise(nn.Module):
    """x -> (x - mean) / std a feature dimension; the identity until `fit`.

    Mean and std are buffers, so that a checkpoint carries them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))

    def fit(self, mean: Tensor, std: Tensor) -> None:
        """Take statistics, each (D,). A dimension that never varies (std 0) is only centred."""
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 0, std, torch.ones_like(std)))

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., D), any float type; float16 becomes float32."""
        return (x - self.mean) / self.std


class Components(nn.Module):
    """The leading principal components of standardised inputs, each of variance 1.

    Rows are buffers, so that a checkpoint carries them; all zero until `fit`.
    """

    rows: Tensor

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        if count > width:
            raise InputError(
                f"input.components = {count}: features have {width} numbers; at most so many"
            )
        self.register_buffer("rows", torch.zeros(count, width))

    def fit(self, covariance: Tensor) -> None:
        """Take them from a covariance, (D, D) float64. A component of no variance gives zeros."""
        count = len(self.rows)
        variances, vectors = torch.linalg.eigh(covariance)  # in ascending order
        variances, vectors = variances[-count:].flip(0), vectors[:, -count:].flip(1)
        # An eigenvector's sign is the library's choice: make it ours.
        largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
        scale = torch.where(
            variances > RESOLUTION * variances[0], variances.clamp(min=0).rsqrt(), 0.0
        )
        self.rows.copy_((vectors * largest.sign() * scale).T)

    def forward(self, x: Tensor) -> Tensor:
        """(N, D, T) -> (N, components, T)."""
        return (x.transpose(1, 2) @ self.rows.T).transpose(1, 2)
