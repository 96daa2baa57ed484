"""Description of a dataset: the file `dataset.toml` in the folder of its manifests."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from vad_toolkit import __version__
from vad_toolkit.core.files import write_text
from vad_toolkit.core.settings import AsTuple, Settings, describe_error
from vad_toolkit.errors import ManifestError

INFO_FILE = "dataset.toml"
NOT_KNOWN = "not known"

Lines = Annotated[tuple[str, ...], AsTuple]


class PublishedArray(Settings):
    """A global array of frame labels that published code evaluates with."""

    length: int = Field(ge=1, description="Number of labels.")
    abnormal: int = Field(ge=0, description="Number of labels that are 1.")
    rule: str = Field(default=NOT_KNOWN, description="The ground-truth rule that reproduces it.")
    used_by: str = NOT_KNOWN


class DatasetInfo(Settings):
    """Name, origin and terms of a dataset. A fact that nobody has stated is "not known"."""

    name: str = Field(min_length=1)
    title: str = NOT_KNOWN
    citation: str = NOT_KNOWN
    homepage: str = NOT_KNOWN
    license: str = NOT_KNOWN  # in the owners' words
    frame_rate: str = NOT_KNOWN  # frames per second, in words if videos differ
    frame_size: str = NOT_KNOWN  # width x height in pixels
    notes: str = ""
    traps: Lines = ()  # facts that have misled users
    # Fields of ground-truth rules that this dataset's published arrays apply differently.
    rules: Mapping[str, Mapping[str, str | int]] = {}
    arrays: Mapping[str, PublishedArray] = {}


def read_dataset_info(path: Path) -> DatasetInfo:
    """Read a `dataset.toml` file.

    Raises:
        ManifestError: If the file is missing, is not TOML, or has a wrong field.
    """
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        return DatasetInfo.model_validate(fields)
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise ManifestError(f"{path}: {describe_field(error, DatasetInfo)}") from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise ManifestError(f"{path}: not a TOML file ({error})") from error


def write_dataset_info(path: Path, info: DatasetInfo) -> None:
    """Write a `dataset.toml` file: atomically, and always with the same bytes."""
    fields = info.model_dump(mode="json")
    tables = {name: fields.pop(name) for name in ("rules", "arrays")}
    if not info.traps:
        del fields["traps"]
    lines = [f"{name} = {_toml(value)}" for name, value in fields.items()]
    for table, rows in tables.items():
        for row, cells in rows.items():
            lines += ["", f"[{table}.{_toml(row)}]"]
            lines += [f"{name} = {_toml(value)}" for name, value in cells.items()]
    write_text(path, "\n".join(lines) + "\n")


def describe_field(error: ValidationError, kind: type[Settings]) -> str:
    """Describe the first problem in a file that any version of the toolkit may have written."""
    first = error.errors(include_url=False)[0]
    if not first["loc"]:  # a check of several fields, or a line that is not an object
        return first["msg"].removeprefix("Value error, ")
    message = describe_error(error, kind, "field")
    if first["type"] == "extra_forbidden":
        message += (
            f"; a newer version of vad-toolkit may have written it (this is version {__version__})"
        )
    return message


def _toml(value: Any) -> str:
    """Return a text, number or list of texts as TOML: that is JSON, once DEL is escaped."""
    if isinstance(value, list):
        return "[\n" + "".join(f"  {_toml(item)},\n" for item in value) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
