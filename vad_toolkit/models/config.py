"""Training configs: the settings that all methods share, and the types of their values.

Each method derives its own config from `TrainConfig`, with its own `head` and `losses` sections and
its own defaults. `VERSION_1` of a class has the fields above it, those of release 0.1.0; a field
that is added later needs a default and a place below (`core.settings.Settings`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from vad_toolkit.core.settings import AsTuple, Settings

MOST_SEGMENTS = 4_096


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"must be odd, to be centered on a snippet, got {value}")
    return value


def _check_segments(value: Any) -> Any:
    if value == "all" or (type(value) is int and 1 <= value <= MOST_SEGMENTS):
        return value
    raise ValueError(f"must be 1 to {MOST_SEGMENTS}, or all, got {value!r}")


Width = Annotated[int, Field(ge=1, le=65_536)]
WidthPair = Annotated[tuple[Width, Width], AsTuple]
OddWindow = Annotated[int, Field(ge=1, le=1_025), AfterValidator(_odd)]
Probability = Annotated[float, Field(ge=0, lt=1)]
LossWeight = Annotated[float, Field(ge=0, le=1e6)]
TopDivisor = Annotated[int, Field(ge=1, le=65_536)]
Streams = Literal["rgb", "flow", "both"]
Segments = Annotated[int | Literal["all"], BeforeValidator(_check_segments)]
Count = Annotated[int, Field(ge=1, le=100_000_000)]
Pairs = Annotated[int, Field(ge=1, le=65_536)]


class MethodLosses(Settings):
    """Loss settings that every method has; a method adds its weights.

    Example:
        >>> MethodLosses(top_divisor=16).top_divisor
        16
    """

    top_divisor: TopDivisor = 10  # K = max(1, T // top_divisor)
    VERSION_1 = frozenset(__annotations__)


class InputConfig(Settings):
    """Transforms of a snippet's features before the first layer of any method."""

    # Number of principal components of the standardized features, each scaled to variance 1.
    # With 0, the features themselves enter.
    components: Annotated[int, Field(ge=0, le=65_536)] = 0
    # Standard deviation of the Gaussian noise that is added in training, drawn anew every step.
    noise: Annotated[float, Field(ge=0, le=100)] = 0.0
    VERSION_1 = frozenset(__annotations__)


class OptimiserConfig(Settings):
    """Optimizer settings."""

    name: Literal["adam", "adamw", "adagrad"] = "adam"
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-3
    # adam, adagrad: L2 penalty, added to the gradient; adamw: decoupled, times the learning rate
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 5e-3
    clip_norm: Annotated[float, Field(ge=0, le=1e6)] = 1.0  # of the whole gradient; 0: no clipping
    # Decay of the exponential moving average of the weights, which is then the model that is
    # validated and saved; 0: no average.
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    VERSION_1 = frozenset(__annotations__)


class DataConfig(Settings):
    """Conversion of a video's features to training input."""

    segments: Segments = 32  # T in training; all: every snippet, in padded batches
    streams: Streams = "rgb"  # both: RGB and flow concatenated along D
    standardise: bool = True  # by mean and standard deviation of the training videos' segments
    storage: Literal["float16", "float32"] = "float16"  # dtype of the segments in memory
    VERSION_1 = frozenset(__annotations__)


class ValidationConfig(Settings):
    """Size of the validation split and interval of validation, which chooses the best step."""

    fraction: Annotated[float, Field(ge=0, le=0.9)] = 0.2  # of the training videos; 0: no split
    every: Count = 50  # steps
    VERSION_1 = frozenset(__annotations__)


class TrainConfig(Settings):
    """Base of the methods' configs: all settings of a training run.

    Example:
        >>> from vad_toolkit.models.sultani import SultaniConfig
        >>> SultaniConfig(steps=500).optimiser.name
        'adagrad'
    """

    method: str
    input: InputConfig = InputConfig()
    losses: MethodLosses
    steps: Count = 3_000
    pairs: Pairs = 32  # of a normal and an abnormal video per step
    log_every: Count = 10  # steps per line of the log
    checkpoint_every: Count = 500  # steps between saved states, from which a stopped run resumes
    precision: Literal["float32", "bfloat16"] = "float32"  # of the network in training
    tensorboard: bool = True
    optimiser: OptimiserConfig = OptimiserConfig()
    data: DataConfig = DataConfig()
    validation: ValidationConfig = ValidationConfig()
    VERSION_1 = frozenset(__annotations__) | {"head"}  # the methods' configs have one

    @model_validator(mode="after")
    def _components_need_standardized_inputs(self) -> Self:
        if self.input.components and not self.data.standardise:
            raise ValueError(
                f"input.components = {self.input.components} needs data.standardise = true: they "
                "are components of the standardized features"
            )
        return self
