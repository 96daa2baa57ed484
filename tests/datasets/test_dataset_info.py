"""dataset.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

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
        ("title = 'x'", r"name = .*Field required"),
        ("name = ''", r"name = ''"),
        ("name = 3", r"name = 3: .*the fields are name, title"),
        ("name = 'x'\nlicence = 'MIT'", r"licence = 'MIT': .*name, title, citation, homepage, lic"),
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
