"""Loading of training configs: named ones (presets.toml), files, and the methods' defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vad_toolkit.core.files import AnyPath
from vad_toolkit.core.settings import describe_error, read_settings
from vad_toolkit.errors import InputError
from vad_toolkit.models.config import TrainConfig
from vad_toolkit.models.registry import METHODS, method_of


@cache
def _presets() -> Mapping[str, Mapping[str, Any]]:
    return read_settings(Path(__file__).with_name("presets.toml"), "config", ())


def config_names() -> list[str]:
    """Return the names that `load_config` takes: methods, then presets. Imports no torch."""
    return [*METHODS, *_presets()]


def load_config(
    config: AnyPath | Mapping[str, Any] | TrainConfig | None = None,
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
    elif (name := os.fspath(config)) in _presets():
        fields = _presets()[name]
    elif name in METHODS:
        fields = {"method": name}
    else:
        fields = read_settings(Path(name), "config", config_names())
    for key, value in (overrides or {}).items():
        for part in reversed(key.split(".")):
            value = {part: value}
        fields = _merge(fields, value)
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
    kind = METHODS[str(fields.get("method", "clav-como"))].config
    try:
        return kind.model_validate(_merge(kind.model_validate({}).model_dump(), fields))
    except ValidationError as error:
        raise InputError(describe_error(error, kind, "config key", written_by)) from error


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merge(old, value) if both else value  # type: ignore[arg-type]
    return merged
