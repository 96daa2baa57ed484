"""Interface of the methods: snippet scores, named loss terms, and how the toolkit builds them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from vad_toolkit.errors import InputError
from vad_toolkit.models.config import TrainConfig


@dataclass(frozen=True)
class Output:
    """Result of a forward pass; values where `mask` is False are 0.

    Example:
        >>> output = Output(torch.zeros(1, 32), torch.zeros(1, 10, 32, 512), mask=None)
        >>> output.scores.shape
        torch.Size([1, 32])
    """

    scores: Tensor  # (B, T) in [0, 1], the mean over crops
    features: Tensor  # (B, C, T, d), the features that losses compare
    mask: Tensor | None  # (B, T) bool; None if all snippets are real
    parts: Mapping[str, Tensor] = field(default_factory=dict)  # for a method's own losses

    @property
    def lengths(self) -> Tensor:
        """Number of real snippets of each video, (B,) int64."""
        real = torch.ones_like(self.scores, dtype=torch.bool) if self.mask is None else self.mask
        return real.sum(dim=1)


class MilModel(nn.Module, ABC):
    """Base of the networks, which are trained on pairs of videos and score single snippets.

    A batch x is (B, C, T, D): B videos, C crops, T snippets, D features. In training the first half
    of a batch are normal videos and the second half abnormal ones; videos i and B/2 + i are a pair.

    A method defines `forward`, `losses` and `weighted_terms`. Its `forward` calls `prepare` first
    and `output` last.

    Example:
        >>> from vad_toolkit.models.sultani import Sultani, SultaniConfig
        >>> model = Sultani(1024, SultaniConfig()).eval()
        >>> model(torch.zeros(1, 10, 32, 1024)).scores.shape
        torch.Size([1, 32])
    """

    main_term: ClassVar[str] = "mil"  # the loss term of weight 1
    weighted_terms: ClassVar[tuple[str, ...]]  # the others; `config.losses` has a weight for each

    def __init__(self, input_dim: int, config: TrainConfig) -> None:
        super().__init__()
        self.input_dim = input_dim
        self.config = config
        self.standardise = Standardise(input_dim)
        count = config.input.components
        self.components = Components(input_dim, count) if count else None
        self.input_width = count or input_dim  # of the input of the first layer

    @abstractmethod
    def forward(self, x: Tensor, mask: Tensor | None = None) -> Output:
        """Score every snippet.

        Args:
            x: (B, C, T, D) float, for any C and T >= 1.
            mask: (B, T) bool, True for real snippets, which come first. If None, all are real. A
                video in a masked batch must get the scores that it would get alone.
        """

    @abstractmethod
    def losses(self, output: Output) -> dict[str, Tensor]:
        """Return the named loss terms of a batch of pairs, each a scalar without its weight."""

    @property
    def loss_weights(self) -> Mapping[str, float]:
        """Weight of each term of `losses`; the loss is the weighted sum."""
        weights = {name: getattr(self.config.losses, name) for name in self.weighted_terms}
        return {self.main_term: 1.0, **weights}

    @property
    def top_divisor(self) -> int:
        """Divisor of video scores, the mean of the max(1, T // top_divisor) highest scores."""
        return self.config.losses.top_divisor

    def begin_step(self, progress: float) -> dict[str, float]:
        """Set scheduled values for a `progress` in [0, 1), and return them for the log."""
        return {}

    def prepare(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the input of the first layer, with crops folded into the batch, and its mask.

        Features are standardized and, if the config says so, replaced by principal components; in
        training, noise from torch's random state is added. The arguments are those of `forward`;
        the results are (B*C, `input_width`, T), 0 where masked, and (B*C, 1, T) or None.
        """
        if x.ndim != 4 or x.shape[3] != self.input_dim:
            raise InputError(
                f"this model takes features of shape (videos, crops, snippets, {self.input_dim}), "
                f"got {tuple(x.shape)}"
            )
        x = self.standardise(x).flatten(0, 1).transpose(1, 2)  # (N, D, T)
        if self.components is not None:
            x = self.components(x)
        if self.training and self.config.input.noise:
            x = x + self.config.input.noise * torch.randn_like(x)
        if mask is not None:
            mask = mask.repeat_interleave(x.shape[0] // mask.shape[0], dim=0)[:, None]  # (N, 1, T)
        return hide(x, mask), mask

    def output(
        self,
        logits: Tensor,
        features: Tensor,
        mask: Tensor | None,
        crops: int,
        parts: Mapping[str, Tensor] | None = None,
    ) -> Output:
        """Return the output of `forward`.

        Args:
            logits: (B*C, T, 1), the scores of each crop before the sigmoid.
            features: (B*C, T, d); values where masked do not matter.
            mask: (B, T) bool or None, as in `forward`.
            crops: C.
            parts: See `Output`.
        """
        crop_scores = torch.sigmoid(at_least_float32(logits)).squeeze(2)  # (B*C, T)
        features = unfold_crops(features, crops)  # (B, C, T, d)
        features = features if mask is None else hide(features, mask[:, None, :, None])
        return Output(self.average_crops(crop_scores, mask, crops), features, mask, parts or {})

    def average_crops(self, values: Tensor, mask: Tensor | None, crops: int) -> Tensor:
        """Return the mean over crops, (B*C, T) -> (B, T), 0 where `mask` (B, T) is False."""
        return hide(unfold_crops(values, crops).mean(dim=1), mask)


@dataclass(frozen=True)
class Method:
    """A registered method."""

    config: type[TrainConfig]  # the class of its configs
    build: Callable[[int, Any], MilModel]  # build(input_dim, config) gives the untrained network
    summary: str  # one line


def score_mlp(width: int, hidden: tuple[int, int], dropout: float) -> nn.Sequential:
    """Return an MLP width -> hidden[0] -> hidden[1] -> 1 that gives a snippet's logit."""
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
    """Return the scores (B / 2, T) of a batch's abnormal videos, and their mask."""
    mask = None if output.mask is None else output.mask.chunk(2)[1]
    return output.scores.chunk(2)[1], mask


def unfold_crops(x: Tensor, crops: int) -> Tensor:
    """Return x with the crops unfolded from the batch, (B*C, ...) -> (B, C, ...)."""
    return x.reshape(-1, crops, *x.shape[1:])


def hide(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return x with zeros (even instead of NaN) where `mask`, broadcast to it, is False."""
    return x if mask is None else x.masked_fill(~mask, 0.0)


def at_least_float32(x: Tensor) -> Tensor:
    """Return x in float32 if it is in a shorter type, in which rounding errors would add up."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


# Input transforms (standardization, PCA), fitted once on the training videos.


class Standardise(nn.Module):
    """x -> (x - mean) / std of each feature dimension; the identity until `fit`.

    Mean and std are buffers, so that a checkpoint contains them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("std", torch.ones(width))

    def fit(self, mean: Tensor, std: Tensor) -> None:
        """Set the statistics, each (D,). A constant dimension (std 0) is only centered."""
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 0, std, torch.ones_like(std)))

    def forward(self, x: Tensor) -> Tensor:
        """Return standardized features (..., D); float16 becomes float32."""
        return (x - self.mean) / self.std


class Components(nn.Module):
    """The leading principal components of standardized inputs, each scaled to variance 1.

    Their rows are a buffer, so that a checkpoint contains them; all zero until `fit`.
    """

    rows: Tensor

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        if count > width:
            raise InputError(
                f"input.components must be at most {width}, the number of features per snippet, "
                f"got {count}"
            )
        self.register_buffer("rows", torch.zeros(count, width))

    def fit(self, covariance: Tensor) -> None:
        """Set the rows from a covariance, (D, D) float64. Components of variance 0 give zeros."""
        count = len(self.rows)
        variances, vectors = torch.linalg.eigh(covariance)  # in ascending order
        variances, vectors = variances[-count:].flip(0), vectors[:, -count:].flip(1)
        # The sign of an eigenvector depends on the library: make the largest entry positive.
        largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))
        real = variances > 1e-10 * variances[0]  # smaller ones are rounding errors
        scale = torch.where(real, variances.clamp(min=0).rsqrt(), 0.0)
        self.rows.copy_((vectors * largest.sign() * scale).T)

    def forward(self, x: Tensor) -> Tensor:
        """Return the components, (N, D, T) -> (N, components, T)."""
        return (x.transpose(1, 2) @ self.rows.T).transpose(1, 2)
