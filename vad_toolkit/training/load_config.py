"""Loading of training configs: presets, files, overrides, and the defaults of the methods."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vad_toolkit.core.settings import describe_error, read_settings
from vad_toolkit.errors import InputError
from vad_toolkit.models.config import TrainConfig
from vad_toolkit.models.registry import METHODS, method_of

DEFAULT_METHOD = "clav-como"

SMALL_HEAD = {
    "activate_hidden": 32,
    "stream_width": 32,
    "nodes": 8,
    "node_width": 32,
    "score_hidden": [64, 32],
}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "clav-como-small": {  # for tens to a few hundred videos, where the paper's width overfits
        "method": "clav-como",
        "steps": 500,
        "pairs": 16,
        "validation": {"every": 20},
        "head": {"width": 128, **SMALL_HEAD},
    },
    "context-motion": {  # for that benchmark; tuned on other data seeds (docs/LOG.md)
        "method": "clav-como",
        "steps": 600,
        "validation": {"every": 20},
        "optimiser": {"name": "adamw", "learning_rate": 5e-3, "weight_decay": 0.1, "ema": 0.98},
        "input": {"components": 24, "noise": 0.5},
        "head": {
            **{"width": 32, "activate": "gate", "embed_dropout": 0.3, "dropout": 0.3},
            **SMALL_HEAD,
        },
        "losses": {
            "top_divisor": 2,  # an event fills half of its video
            **{"distance_of": "scorer", "distance_start": 0.5, "smoothness": 0.0, "sparsity": 0.0},
        },
    },
    # Named after the datasets; docs/reproduce.md explains why they hardly differ.
    "ucf-crime": {"method": "clav-como"},
    "shanghaitech": {"method": "clav-como"},
    "xd-violence": {"method": "clav-como"},
    "avenue-weak": {
        "method": "clav-como",
        "pairs": 6,  # normal training videos: 8, of which 2 are held out
        "steps": 500,  # on sets this small the best step was at most 160 (docs/LOG.md)
        "validation": {"every": 10},
    },
}


def config_names() -> list[str]:
    """Return the names that `load_config` takes: methods, then presets. Imports no torch."""
    return [*METHODS, *PRESETS]


def load_config(
    config: str | os.PathLike[str] | Mapping[str, Any] | TrainConfig | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> TrainConfig:
    """Return the complete config of a run.

    Args:
        config: A name in `config_names()`, a .toml or .json file (such as a run's config.json), a
            mapping with any of the keys, or a config, for changes. If None, "clav-como".
        overrides: Values by dotted key. If None, nothing is changed.

    Raises:
        InputError: If there is no such name or file, a key is unknown, or a value is not allowed.

    Example:
        >>> config = load_config("clav-como-small", {"head.activate": "gate", "steps": 200})
        >>> config.steps, config.pairs
        (200, 16)
    """
    if isinstance(config, TrainConfig):
        method_of(config)  # else the changes would turn it into a config of the right class
        fields: Mapping[str, Any] = config.model_dump()
    elif config is None or isinstance(config, Mapping):
        fields = config or {}
    else:
        fields = _named(os.fspath(config))
    for key, value in (overrides or {}).items():
        fields = _merge(fields, _nest(key, value))
    return parse_config(fields)


def parse_config(fields: Mapping[str, Any], written_by: str | None = None) -> TrainConfig:
    """Return the config of `fields`, with the method's defaults for missing keys.

    Args:
        fields: Any of the keys, nested.
        written_by: The version of the toolkit that wrote the fields, if it is not this one. The
            message about an unknown key then names it.

    Raises:
        InputError: If a key is unknown or a value is not allowed.
    """
    kind = METHODS[str(fields.get("method", DEFAULT_METHOD))].config
    try:
        return kind.model_validate(_merge(kind.model_validate({}).model_dump(), fields))
    except ValidationError as error:
        raise InputError(describe_error(error, kind, "config key", written_by)) from error


def _named(name: str) -> Mapping[str, Any]:
    if name in PRESETS:
        return PRESETS[name]
    if name in METHODS:
        return {"method": name}
    return read_settings(Path(name), "config", config_names())


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
