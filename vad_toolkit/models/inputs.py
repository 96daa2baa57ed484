"""What features become before a network's first layer. Fitted once, on the training videos."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vad_toolkit.errors import InputError

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
