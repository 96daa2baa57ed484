"""dataset.toml."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from vad_toolkit import __version__
from vad_toolkit.datasets.dataset_info import DatasetInfo, read_dataset_info, write_dataset_info
from vad_toolkit.errors import ManifestError


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "dataset.toml"
    info = DatasetInfo(name="x", title='Ş "quoted" \\ back', notes="two\nlines\x7f\x01\t")
    write_dataset_info(path, info)
    assert read_dataset_info(path) == info
    assert tomllib.loads(path.read_text(encoding="utf-8"))["license"] == "not known"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", r"not a TOML file"),
        ("title = 'x'", r"field name: missing"),
        ("name = ''", r"field name: String should have at least 1 character \(given: ''\)"),
        ("name = 3", r"field name: Input should be a valid string \(given: 3\)"),
        (
            "name = 'x'\nlicence = 'MIT'",
            r"field licence: unknown; available: name, title, .*; a newer version of vad-toolkit "
            rf"may have written it \(this is version {re.escape(__version__)}\)",
        ),
        (
            "name = 'x'\n[arrays.a]\nlenght = 1",
            r"field arrays.a.length: missing",
        ),
        (
            "name = 'x'\n[arrays.a]\nlength = 1\nabnormal = 0\nyear = 1",
            r"field arrays.a.year: unknown; available: length, abnormal, rule, used_by; a newer",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "dataset.toml"
    path.write_text(text)
    with pytest.raises(ManifestError, match=message):
        read_dataset_info(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be read"):
        read_dataset_info(tmp_path / "dataset.toml")


def test_a_field_that_a_later_version_adds_has_a_default(tmp_path: Path) -> None:
    class Later(DatasetInfo):
        doi: str = "not known"

    path = tmp_path / "dataset.toml"
    write_dataset_info(path, DatasetInfo(name="x"))
    assert Later.model_validate(tomllib.loads(path.read_text())).doi == "not known"
