"""Switches, widths, loss weights and training defaults of CLAV + CoMo."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Field,
)

from vad_toolkit.models.config import (
    LossWeight,
    MethodConfig,
    MethodLosses,
    OddWindow,
    OptimiserConfig,
    Probability,
    Strict,
    TrainConfig,
    Width,
    _to_tuple,
)


class ClavComoHead(Strict):
    """Switches and widths of the CLAV + CoMo network; the defaults are the paper's size."""

    width: Width = 512  # d
    kernel: OddWindow = 3  # snippets that a temporal convolution sees
    embed_dropout: Probability = 0.6  # after the embedding
    dropout: Probability = 0.6  # inside the score MLP

    activate: Literal["bank", "gate", "none"] = "bank"
    kernels: Annotated[int, Field(ge=1, le=64)] = 4  # M
    activate_hidden: Width = 128
    tau_start: Annotated[float, Field(ge=1, le=1e6)] = 30.0  # falls to 1; always 1 at test
    tau_fraction: Annotated[float, Field(ge=0, le=1)] = 0.1  # of all steps

    como: bool = True
    streams: Literal["both", "context", "motion"] = "both"
    interaction: Literal["attention", "joint-graph", "none"] = "attention"
    stream_width: Width = 128  # d_m
    nodes: Width = 16  # S
    node_width: Width = 128  # d_s
    window: OddWindow = 3  # w, snippets that the context averages

    score_hidden: Annotated[tuple[Width, Width], BeforeValidator(_to_tuple)] = (128, 32)


class ClavComoLosses(MethodLosses):
    """Weights of the loss terms beside MIL (weight 1), and how top-K sets are chosen."""

    relative_distance: LossWeight = 1.0
    margin: Annotated[float, Field(ge=0, le=2)] = 0.3  # m
    # H, G after CoMo, or the first hidden layer of the score MLP
    distance_of: Literal["activated", "fused", "scorer"] = "activated"
    distance_start: Annotated[float, Field(ge=0, le=1)] = 0.0  # share of all steps without it
    smoothness: LossWeight = 8e-4
    sparsity: LossWeight = 8e-3
    select: Literal["score", "magnitude"] = "score"


class ClavComoConfig(MethodConfig):
    """Our reconstruction of Cho et al. (CVPR 2023)."""

    method: Literal["clav-como"] = "clav-como"
    head: ClavComoHead = ClavComoHead()
    losses: ClavComoLosses = ClavComoLosses()


class ClavComoTraining(ClavComoConfig, TrainConfig):
    """CLAV + CoMo. The protocol is RTFM's (ICCV 2021) where the paper's is not known.

    Of the two learning rates in use with that protocol, 1e-3 and 1e-4, the lower: at the higher one
    validation fell within a hundred steps on small sets (docs/LOG.md).
    """

    optimiser: OptimiserConfig = OptimiserConfig(learning_rate=1e-4)
