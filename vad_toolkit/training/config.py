"""Training settings: one typed, strict, frozen config a method, with the method's own defaults.

A config is read from a TOML or JSON file that holds any part of it, from a preset by name, and from
dotted KEY=VALUE settings; what is not said is the method's default. A run keeps the whole of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator

from vad_toolkit.errors import InputError
from vad_toolkit.files import read_settings
from vad_toolkit.models.config import (
    ClavComoConfig,
    MethodConfig,
    MgfnConfig,
    RtfmConfig,
    Strict,
    SultaniConfig,
    UrDmuConfig,
)


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


class ClavComoTraining(ClavComoConfig, TrainConfig):
    """CLAV + CoMo. The protocol is RTFM's (ICCV 2021) where the paper's is not known.

    Of the two learning rates in use with that protocol, 1e-3 and 1e-4, the lower: at the higher one
    validation fell within a hundred steps on small sets (docs/LOG.md).
    """

    optimiser: OptimiserConfig = OptimiserConfig(learning_rate=1e-4)


class SultaniTraining(SultaniConfig, TrainConfig):
    """Sultani et al. (CVPR 2018): Adagrad at 0.001, batches of 30 + 30, 32 segments."""

    pairs: Annotated[int, Field(ge=1, le=65_536)] = 30
    optimiser: OptimiserConfig = OptimiserConfig(
        name="adagrad", learning_rate=1e-3, weight_decay=1e-3, clip_norm=0.0
    )


class RtfmTraining(RtfmConfig, TrainConfig):
    """Tian et al. (ICCV 2021): Adam at 0.001, 32 + 32 videos, 32 segments of raw features."""

    optimiser: OptimiserConfig = OptimiserConfig(clip_norm=0.0)
    data: DataConfig = DataConfig(standardise=False)


class UrDmuTraining(UrDmuConfig, TrainConfig):
    """Zhou et al. (AAAI 2023): Adam at 0.0001, 64 + 64 videos, 200 segments of raw features."""

    pairs: Annotated[int, Field(ge=1, le=65_536)] = 64
    optimiser: OptimiserConfig = OptimiserConfig(
        learning_rate=1e-4, weight_decay=5e-5, clip_norm=0.0
    )
    data: DataConfig = DataConfig(segments=200, standardise=False)


class MgfnTraining(MgfnConfig, TrainConfig):
    """Chen et al. (AAAI 2023): Adam at 0.001, 16 + 16 videos, 32 segments of raw features."""

    pairs: Annotated[int, Field(ge=1, le=65_536)] = 16
    optimiser: OptimiserConfig = OptimiserConfig(
        learning_rate=1e-3, weight_decay=5e-4, clip_norm=0.0
    )
    data: DataConfig = DataConfig(standardise=False)


METHOD_CONFIGS: Mapping[str, type[TrainConfig]] = {
    "clav-como": ClavComoTraining,
    "sultani": SultaniTraining,
    "rtfm": RtfmTraining,
    "ur-dmu": UrDmuTraining,
    "mgfn": MgfnTraining,
}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "clav-como": {"method": "clav-como"},
    "clav-como-small": {  # for tens to a few hundred videos, where the paper's width overfits
        "method": "clav-como",
        "steps": 500,
        "pairs": 16,
        "validation": {"every": 20},
        "head": {
            "width": 128,
            "activate_hidden": 32,
            "stream_width": 32,
            "nodes": 8,
            "node_width": 32,
            "score_hidden": [64, 32],
        },
    },
    "context-motion": {  # for that benchmark; found on data seeds of its own (docs/LOG.md)
        "method": "clav-como",
        "steps": 600,
        "validation": {"every": 20},
        "optimiser": {
            "name": "adamw",
            "learning_rate": 5e-3,
            "weight_decay": 0.1,
            "ema": 0.98,
        },
        "input": {"components": 24, "noise": 0.5},
        "head": {
            "activate": "gate",
            "width": 32,
            "embed_dropout": 0.3,
            "dropout": 0.3,
            "activate_hidden": 32,
            "stream_width": 32,
            "nodes": 8,
            "node_width": 32,
            "score_hidden": [64, 32],
        },
        "losses": {
            "top_divisor": 2,  # an event is half of its video
            "distance_of": "scorer",
            "distance_start": 0.5,
            "smoothness": 0.0,
            "sparsity": 0.0,
        },
    },
    "sultani": {"method": "sultani"},
    "rtfm": {"method": "rtfm"},
    "ur-dmu": {"method": "ur-dmu"},
    "mgfn": {"method": "mgfn"},
    # The benchmarks, named as their manifests; docs/reproduce.md says why so little differs.
    "ucf-crime": {"method": "clav-como"},
    "shanghaitech": {"method": "clav-como"},
    "xd-violence": {"method": "clav-como"},
    "avenue-weak": {
        "method": "clav-como",
        "pairs": 6,  # normal training videos: 8, of which 2 are held out
        "steps": 500,  # on sets this small the best step came within 160 (docs/LOG.md)
        "validation": {"every": 10},
    },
}


def load_config(
    name_or_file: str | Path | None = None, overrides: Mapping[str, Any] | None = None
) -> TrainConfig:
    """The whole config of a run.

    Args:
        name_or_file: one of `PRESETS`, or a .toml or .json file (a run's config.json too); None is
            the preset clav-como.
        overrides: values by dotted key, as {"head.activate": "gate", "steps": 500}.

    Raises:
        InputError: no such preset or file, an unknown key, or a value that is not allowed.
    """
    fields: dict[str, Any] = {}
    if name_or_file is not None:
        preset = PRESETS.get(str(name_or_file))
        if preset is None:
            preset = read_settings(Path(name_or_file), "config", PRESETS)
        fields = _merge({}, preset)
    for key, value in (overrides or {}).items():
        fields = _merge(fields, _nest(key, value))
    return parse_config(fields)


def parse_config(fields: Mapping[str, Any]) -> TrainConfig:
    """A config from plain values; what is left out is the method's default. Raises InputError."""
    method = fields.get("method", "clav-como")
    if not isinstance(method, str) or method not in METHOD_CONFIGS:
        raise InputError(f"method {method!r}: has to be one of {', '.join(METHOD_CONFIGS)}")
    kind = METHOD_CONFIGS[method]
    defaults = kind.model_validate({"method": method})
    try:
        return kind.model_validate(_merge(defaults.model_dump(), fields))
    except ValidationError as error:
        raise InputError(_describe(error, kind)) from error


def _nest(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    nested: dict[str, Any] = value
    return nested


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _describe(error: ValidationError, kind: type[BaseModel]) -> str:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    where = ".".join(path)
    if first["type"] == "extra_forbidden":
        for part in path[:-1]:
            inner = kind.model_fields[part].annotation
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                kind = inner
        return f"config key {where}: unknown; there are {', '.join(kind.model_fields)}"
    message = first["msg"].removeprefix("Value error, ")
    given = "" if first["type"] == "value_error" else f" (given: {first['input']!r})"
    return f"config key {where}: {message}{given}" if where else f"config: {message}"
