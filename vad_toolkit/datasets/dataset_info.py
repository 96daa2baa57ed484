"""What is known of a dataset as a whole: `dataset.toml`, beside its manifests."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vad_toolkit.errors import ManifestError
from vad_toolkit.files import write_text

INFO_FILE = "dataset.toml"
NOT_KNOWN = "not known"


class DatasetInfo(BaseModel):
    """Name, origin and terms of a dataset; "not known" where nobody has said."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    name: str = Field(min_length=1)
    title: str = NOT_KNOWN
    citation: str = NOT_KNOWN
    homepage: str = NOT_KNOWN
    license: str = NOT_KNOWN  # as its owners state it
    notes: str = ""


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
            f"{path}: {field} = {first['input']!r}: {first['msg']}; the fields are texts: {allowed}"
        ) from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise ManifestError(f"{path}: not a TOML file ({error})") from error


def write_dataset_info(path: Path, info: DatasetInfo) -> None:
    """Write a `dataset.toml`, whole and always with the same bytes."""
    # A JSON text is a TOML basic string too, once DEL is escaped.
    lines = (
        f"{name} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")
        for name, value in info.model_dump().items()
    )
    write_text(path, "\n".join(lines) + "\n")
