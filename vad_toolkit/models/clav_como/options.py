"""Settings of CLAV + CoMo: switches, widths, loss weights and training defaults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vad_toolkit.core.settings import Settings
from vad_toolkit.models.config import (
    LossWeight,
    MethodLosses,
    OddWindow,
    OptimiserConfig,
    Probability,
    TrainConfig,
    Width,
    WidthPair,
)


class ClavComoHead(Settings):
    """Switches and widths of the network; the defaults are the paper's size.

    Letters in the comments are the symbols of docs/model.md.
    """

    width: Width = 512  # d
    kernel: OddWindow = 3  # snippets that a temporal convolution sees
    embed_dropout: Probability = 0.6  # after the embedding
    dropout: Probability = 0.6  # inside the score MLP

    activate: Literal["bank", "gate", "none"] = "bank"
    kernels: Annotated[int, Field(ge=1, le=64)] = 4  # M
    activate_hidden: Width = 128
    tau_start: Annotated[float, Field(ge=1, le=1e6)] = 30.0  # falls to 1; always 1 in evaluation
    tau_fraction: Annotated[float, Field(ge=0, le=1)] = 0.1  # of all steps, until tau is 1

    como: bool = True
    streams: Literal["both", "context", "motion"] = "both"
    interaction: Literal["attention", "joint-graph", "none"] = "attention"
    stream_width: Width = 128  # d_m
    nodes: Width = 16  # S
    node_width: Width = 128  # d_s
    window: OddWindow = 3  # w, snippets over which the context is averaged

    score_hidden: WidthPair = (128, 32)
    VERSION_1 = frozenset(__annotations__)


class ClavComoLosses(MethodLosses):
    """Weights of the loss terms beside MIL (weight 1), and the choice of the top-K sets."""

    relative_distance: LossWeight = 1.0
    margin: Annotated[float, Field(ge=0, le=2)] = 0.3  # m
    # H, G after CoMo, or the first hidden layer of the score MLP
    distance_of: Literal["activated", "fused", "scorer"] = "activated"
    distance_start: Annotated[float, Field(ge=0, le=1)] = 0.0  # share of all steps without it
    smoothness: LossWeight = 8e-4
    sparsity: LossWeight = 8e-3
    select: Literal["score", "magnitude"] = "score"
    VERSION_1 = MethodLosses.VERSION_1 | frozenset(__annotations__)


class ClavComoConfig(TrainConfig):
    """Our reconstruction of Cho et al. (CVPR 2023); unknown settings are those of RTFM (ICCV 2021).

    Of the two learning rates in use with that protocol, 1e-3 and 1e-4, this is the lower one: with
    the higher one validation got worse within a hundred steps on small sets (docs/LOG.md).
    """

    method: Literal["clav-como"] = "clav-como"
    head: ClavComoHead = ClavComoHead()
    losses: ClavComoLosses = ClavComoLosses()
    optimiser: OptimiserConfig = OptimiserConfig(learning_rate=1e-4)
