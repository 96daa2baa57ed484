"""Typed, strict, frozen settings of every method: all switches, all widths, all loss weights.

Symbols in comments are those of docs/model.md.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"has to be odd, to be centred on a snippet (given: {value})")
    return value


def _to_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value  # JSON and TOML have no tuples


Width = Annotated[int, Field(ge=1, le=65_536)]
OddWindow = Annotated[int, Field(ge=1, le=1_025), AfterValidator(_odd)]
Probability = Annotated[float, Field(ge=0, lt=1)]
LossWeight = Annotated[float, Field(ge=0, le=1e6)]
TopDivisor = Annotated[int, Field(ge=1, le=65_536)]


class Strict(BaseModel):
    """Immutable, no coercion, no unknown fields: a typing error never trains."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class ModelConfig(Strict):
    """What a method is built from; each method has its own `head` and `losses`."""

    method: str


class MethodLosses(Strict):
    """What the losses of every method have."""

    top_divisor: TopDivisor = 10  # K = max(1, T // top_divisor)


class InputConfig(Strict):
    """What a snippet's features become before the first layer, in every method."""

    # Principal components of the standardised features, each scaled to variance 1; 0: all numbers.
    components: Annotated[int, Field(ge=0, le=65_536)] = 0
    # Standard deviation of Gaussian noise on each number that enters, drawn anew every step.
    noise: Annotated[float, Field(ge=0, le=100)] = 0.0


class MethodConfig(ModelConfig):
    """The config of a method that can be built."""

    input: InputConfig = InputConfig()
    losses: MethodLosses


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


class UrDmuHead(Strict):
    """Widths of the transformer, the memories and the score MLP."""

    width: Width = 512
    layers: Annotated[int, Field(ge=1, le=64)] = 2
    heads: Annotated[int, Field(ge=1, le=256)] = 4
    head_width: Width = 128
    memory: Width = 60  # prototypes in each of the two memories
    dropout: Probability = 0.5
    score_hidden: Width = 128


class UrDmuLosses(MethodLosses):
    """Weights of the terms beside MIL (weight 1)."""

    memory: LossWeight = 0.1
    triplet: LossWeight = 0.1
    kl: LossWeight = 1e-3
    distance: LossWeight = 1e-4
    top_divisor: TopDivisor = 16


class UrDmuConfig(MethodConfig):
    """Dual memory units with uncertainty regulation (Zhou et al., AAAI 2023)."""

    method: Literal["ur-dmu"] = "ur-dmu"
    head: UrDmuHead = UrDmuHead()
    losses: UrDmuLosses = UrDmuLosses()


class MgfnHead(Strict):
    """Widths and depths of the three stages: a glance stage, then two focus stages."""

    widths: Annotated[tuple[Width, Width, Width], BeforeValidator(_to_tuple)] = (64, 128, 1024)
    depths: Annotated[
        tuple[Annotated[int, Field(ge=1, le=64)], ...],
        Field(min_length=3, max_length=3),
        BeforeValidator(_to_tuple),
    ] = (3, 3, 2)
    head_width: Width = 64
    magnitude_share: LossWeight = 0.1  # of the magnitude beside the features
    dropout: Probability = 0.7  # of the snippets that can be chosen


class MgfnLosses(MethodLosses):
    """Weights of the terms beside MIL (weight 1)."""

    contrast: LossWeight = 1e-3
    margin: Annotated[float, Field(ge=0, le=1e6)] = 200.0
    smoothness: LossWeight = 8e-4
    sparsity: LossWeight = 8e-3


class MgfnConfig(MethodConfig):
    """Magnitude-contrastive glance-and-focus network (Chen et al., AAAI 2023)."""

    method: Literal["mgfn"] = "mgfn"
    head: MgfnHead = MgfnHead()
    losses: MgfnLosses = MgfnLosses()


class SultaniHead(Strict):
    """Widths of the ranking head: D -> hidden[0] -> hidden[1] -> 1."""

    hidden: Annotated[tuple[Width, Width], BeforeValidator(_to_tuple)] = (512, 32)
    dropout: Probability = 0.6


class SultaniLosses(MethodLosses):
    """Weights of the terms beside the ranking hinge (weight 1): the paper's two lambdas.

    `top_divisor` is only for the score of a whole video in validation.
    """

    margin: Annotated[float, Field(ge=0, le=1)] = 1.0
    smoothness: LossWeight = 8e-5
    sparsity: LossWeight = 8e-5


class SultaniConfig(MethodConfig):
    """The multiple-instance ranking head of Sultani et al. (CVPR 2018)."""

    method: Literal["sultani"] = "sultani"
    head: SultaniHead = SultaniHead()
    losses: SultaniLosses = SultaniLosses()
