"""Typed, strict, frozen settings of every method: all switches, all widths, all loss weights.

Symbols in comments are those of docs/model.md.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)


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


def _check_segments(value: Any) -> Any:
    if value == "all" or (type(value) is int and 1 <= value <= MOST_SEGMENTS):
        return value
    raise ValueError(f"has to be 1 to {MOST_SEGMENTS}, or all (given: {value!r})")


MOST_SEGMENTS = 4_096
Streams = Literal["rgb", "flow", "both"]
Segments = Annotated[int | Literal["all"], BeforeValidator(_check_segments)]
Count = Annotated[int, Field(ge=1, le=100_000_000)]


class OptimiserConfig(Strict):
    """How weights move. `clip_norm` 0 leaves gradients as they are, `ema` 0 averages nothing."""

    name: Literal["adam", "adamw", "adagrad"] = "adam"
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-3
    # L2, added to the gradient; adamw: a share of the weight, times the learning rate, each step
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 5e-3
    clip_norm: Annotated[float, Field(ge=0, le=1e6)] = 1.0  # of the whole gradient
    # Share of the old in a running mean of the weights; that mean is validated, kept and scored.
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0


class DataConfig(Strict):
    """What a video becomes before it enters the model."""

    segments: Segments = 32  # T in training; all: every snippet, batches padded
    streams: Streams = "rgb"  # both: joined along D
    standardise: bool = True  # by mean and std of the training videos' segments
    storage: Literal["float16", "float32"] = "float16"  # of the segments


class ValidationConfig(Strict):
    """Which share of the training videos chooses the best step, and how often it is asked."""

    fraction: Annotated[float, Field(ge=0, le=0.9)] = 0.2  # 0: none, and best is last
    every: Count = 50  # steps


class TrainConfig(MethodConfig):
    """What all methods share: steps, batches, data, validation, logs."""

    steps: Count = 3_000
    pairs: Annotated[int, Field(ge=1, le=65_536)] = 32  # b, normal and abnormal videos a step
    log_every: Count = 10  # steps a line
    checkpoint_every: Count = 500  # steps a state to go on from
    precision: Literal["float32", "bfloat16"] = "float32"  # of the network while training
    tensorboard: bool = True
    optimiser: OptimiserConfig = OptimiserConfig()
    data: DataConfig = DataConfig()
    validation: ValidationConfig = ValidationConfig()

    @model_validator(mode="after")
    def _components_are_of_standardised_inputs(self) -> Self:
        count = self.input.components
        if count and not self.data.standardise:
            raise ValueError(
                f"input.components = {count} needs data.standardise = true: components "
                "are those of standardised features"
            )
        return self
