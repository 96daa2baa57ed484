"""Training settings: one typed, strict, frozen config a method, with the method's own defaults.

A config is read from a TOML or JSON file that holds any part of it, from a preset by name, and from
dotted KEY=VALUE settings; what is not said is the method's default. A run keeps the whole of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from vad_toolkit.core.files import read_settings
from vad_toolkit.errors import InputError
from vad_toolkit.models.config import TrainConfig
from vad_toolkit.models.registry import METHOD_CONFIGS

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
