"""Strict, immutable settings with canonical JSON that can grow, and one-line validation errors."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from vad_toolkit import __version__
from vad_toolkit.core.files import canonical_json, sha256_text
from vad_toolkit.errors import InputError

# Of fields with tuples: JSON and TOML have lists.
AsTuple = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)


class Settings(BaseModel):
    """Base of recipes and configs: immutable, no type coercion, no unknown fields.

    `VERSION_1` names the fields that release 0.1.0 wrote. `canonical_fields` always contains them,
    and contains a field that was added later only if its value differs from the default. Adding a
    field with a default therefore changes no hash: leave it out of `VERSION_1`.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)
    VERSION_1: ClassVar[frozenset[str]] = frozenset()

    def canonical_fields(self) -> dict[str, Any]:
        """Return the fields as JSON values, without later fields that have their default."""
        return _canonical(self, None)

    def canonical_json(self) -> str:
        """Return the JSON text that `sha256` is computed from, and that files store."""
        return canonical_json(self.canonical_fields())

    @property
    def sha256(self) -> str:
        """The identity of the settings: equal settings have equal digests, in every version."""
        return sha256_text(self.canonical_json())


def _canonical(settings: Settings, default: Settings | None) -> dict[str, Any]:
    """Compare with `default`, the value that the enclosing settings start from, if there is one."""
    fields = settings.model_dump(mode="json")
    for name, info in type(settings).model_fields.items():
        value = getattr(settings, name)
        at_default = getattr(default, name, None)
        if default is None:
            at_default = info.get_default(call_default_factory=True)
        if name not in settings.VERSION_1 and value == at_default:
            del fields[name]
        elif isinstance(value, Settings):
            same = type(at_default) is type(value)
            fields[name] = _canonical(value, at_default if same else None)
    return fields


def describe_error(
    error: ValidationError, kind: type[BaseModel], what: str, written_by: str | None = None
) -> str:
    """Describe the first problem of a validation in one line.

    For example "config key steps: Input should be greater than or equal to 1 (given: 0)", where
    `what` is "config key" and `kind` the validated model. If `written_by`, the version of the
    toolkit that wrote a file of its own, is newer than this one, the message says to install it.
    """
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    newer = written_by is not None and _numbers(written_by) > _numbers(__version__)
    if first["type"] == "extra_forbidden" and newer:
        problem = f"not known to vad-toolkit {__version__}"
    elif first["type"] == "extra_forbidden":
        problem = f"unknown; available: {', '.join(_section(kind, path[:-1]).model_fields)}"
    elif first["type"] == "missing":
        problem = "missing"
    elif first["type"] == "value_error":
        problem = first["msg"].removeprefix("Value error, ")
    else:
        problem = f"{first['msg']} (given: {first['input']!r})"
    if newer:
        problem += (
            f"; the file was written by version {written_by}: install vad-toolkit>={written_by}"
        )
    # A check of several fields together has no path: "recipe field" becomes "recipe".
    where = f"{what} {'.'.join(path)}" if path else re.sub(" (field|key)$", "", what)
    return f"{where}: {problem}"


def _numbers(version: str) -> list[int]:
    """Return the release numbers of a version, which may come from a file: empty if it has none."""
    release = re.match(r"\d+(\.\d+)*", version[:100], re.ASCII)
    return [int(number) for number in release[0].split(".")] if release else []


def _section(kind: type[BaseModel], path: Iterable[str]) -> type[BaseModel]:
    for part in path:
        inner = kind.model_fields[part].annotation if part in kind.model_fields else None
        for one in (inner, *get_args(inner)):  # the model itself, or one in a mapping or union
            if isinstance(one, type) and issubclass(one, BaseModel):
                kind = one
    return kind


def read_settings(path: Path, what: str, names: Iterable[str]) -> dict[str, Any]:
    """Read the keys and values of a .toml or .json file that the user named. Raises InputError.

    Messages name `what` is expected, "recipe", and the built-in `names` to give instead.
    """
    if not path.is_file():
        raise InputError(
            f"unknown {what} {str(path)!r}; give a file (.toml, .json) or one of {', '.join(names)}"
        )
    try:
        text = path.read_text(encoding="utf-8")
        settings = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a {what}: {error}") from error
    if not isinstance(settings, dict):
        raise InputError(f"{path} is not a {what}: it must hold keys and values")
    return settings
