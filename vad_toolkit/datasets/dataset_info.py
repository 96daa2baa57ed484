"""What is known of a dataset as a whole: `dataset.toml`, beside its manifests."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from vad_toolkit.core.files import write_text
from vad_toolkit.errors import ManifestError

INFO_FILE = "dataset.toml"
NOT_KNOWN = "not known"

# TOML has lists and no tuples.
Lines = Annotated[
    tuple[str, ...], BeforeValidator(lambda value: tuple(value) if type(value) is list else value)
]


class PublishedArray(BaseModel):
    """A global array of frame labels that published code evaluates with."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    length: int = Field(ge=1, description="Labels in it.")
    abnormal: int = Field(ge=0, description="Of them 1.")
    rule: str = Field(default=NOT_KNOWN, description="The ground-truth rule that rebuilds it.")
    used_by: str = NOT_KNOWN


class DatasetInfo(BaseModel):
    """Name, origin and terms of a dataset; "not known" where nobody has said."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    name: str = Field(min_length=1)
    title: str = NOT_KNOWN
    citation: str = NOT_KNOWN
    homepage: str = NOT_KNOWN
    license: str = NOT_KNOWN  # as its owners state it
    frame_rate: str = NOT_KNOWN  # frames per second, in words where videos differ
    frame_size: str = NOT_KNOWN  # width x height in pixels
    notes: str = ""
    traps: Lines = ()  # what has misled people who used it
    # Fields of ground-truth rules that this dataset's published arrays read differently.
    rules: Mapping[str, Mapping[str, str | int]] = {}
    arrays: Mapping[str, PublishedArray] = {}


def read_dataset_info(path: Path) -> DatasetInfo:
    """Read a `dataset.toml`.

    Raises:
        ManifestError: the file is missing, is not TOML, or a field is wrong.
    """
    try:
        fields = tomllib.loads(path.read_text(encoding="utf-8"))
        return DatasetInfo.model_validate(fields)
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        allowed = ", ".join(DatasetInfo.model_fields)
        raise ManifestError(
            f"{path}: {field} = {first['input']!r}: {first['msg']}; the fields are {allowed}"
        ) from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise ManifestError(f"{path}: not a TOML file ({error})") from error


def write_dataset_info(path: Path, info: DatasetInfo) -> None:
    """Write a `dataset.toml`, whole and always with the same bytes."""
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


def _toml(value: Any) -> str:
    """A text, number or list of texts. JSON's are TOML's too, once DEL is escaped."""
    if isinstance(value, list):
        return "[\n" + "".join(f"  {_toml(item)},\n" for item in value) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
