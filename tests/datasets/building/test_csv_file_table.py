"""CSV files with known columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from vad_toolkit.datasets.building.csv_file import read_table
from vad_toolkit.errors import ManifestError


def write(folder: Path, data: str | bytes) -> Path:
    path = folder / "list.csv"
    path.write_bytes(data.encode("utf-8") if isinstance(data, str) else data)
    return path


def read(path: Path) -> list[tuple[str, dict[str, str]]]:
    rows = read_table(path, required=("a",), optional=("b",))
    return [(row.where.rpartition(":")[2], dict(row.values)) for row in rows]


def test_cells_are_read_by_column(tmp_path: Path) -> None:
    path = write(tmp_path, '\ufeffb, a\r\n"x, y", ü \r\n\r\n,2\n')
    assert read(path) == [("2", {"a": "ü", "b": "x, y"}), ("4", {"a": "2", "b": ""})]
    assert read(write(tmp_path, "a\n1\n")) == [("2", {"a": "1", "b": ""})]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", r"list.csv:1: column a is missing; required: a"),
        ("b\n1\n", r"list.csv:1: column a is missing"),
        ("a,c\n", r"list.csv:1: unknown column 'c'; allowed, separated by commas: a, b"),
        ("a;b\n", r"list.csv:1: unknown column 'a;b'"),
        ("a,a\n", r"list.csv:1: column 'a' appears twice"),
        ("a,b\n1,2\n,2\n", r"list.csv:3: column a must not be empty"),
        ("a,b\n1,2,3\n", r"list.csv:2: 3 cells for 2 columns"),
        ('a,b\n"1,2\n', r"list.csv:2: not CSV"),
        (b"a,b\n\xff,2\n", r"not UTF-8 text"),
    ],
)
def test_what_is_wrong_is_named_by_line(tmp_path: Path, data: str | bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        read(write(tmp_path, data))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"none.csv: cannot be read"):
        read(tmp_path / "none.csv")
