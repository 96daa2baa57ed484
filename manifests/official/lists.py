"""Published lists as rows that know their file and line, and the result of every module."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.errors import ManifestError


class OfficialSplit(NamedTuple):
    """The entries of a benchmark, in the published order."""

    train: tuple[Entry, ...]
    test: tuple[Entry, ...]
    validation: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Row:
    """The cells of one line of a list, and its file and line (`where`)."""

    where: str
    cells: tuple[str, ...]

    @property
    def name(self) -> str:
        """The first cell."""
        return self.cells[0]

    def number(self, column: int) -> int:
        """Return the integer in a cell."""
        try:
            return int(self.cells[column])
        except ValueError as error:
            raise self.error(f"{self.cells[column]!r} is not an integer") from error

    def error(self, problem: str) -> ManifestError:
        """Return an error that names this line."""
        return ManifestError(f"{self.where}: {problem}")


def read_rows(
    path: Path, columns: int | None = 1, separator: str | None = None, header: str | None = None
) -> list[Row]:
    """Read the lines of a list. Blank lines are skipped.

    Args:
        path: A UTF-8 text file.
        columns: Number of cells per line. If None, any number.
        separator: Text between cells. If None, white space: no list has names with spaces.
        header: Required first line. If None, there is no header.

    Raises:
        ManifestError: If the file cannot be read, is empty, or has another header or number of
            cells.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not UTF-8 text ({error.reason})") from error
    rows = [
        Row(f"{path}:{number}", tuple(line.strip().split(separator)))
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if header is not None:
        wanted = tuple(header.split())
        if not rows or rows[0].cells != wanted:
            raise ManifestError(f"{path}:1: the header must be {', '.join(wanted)}")
        columns = len(wanted)
        del rows[0]
    if not rows:
        raise ManifestError(f"{path}: no videos")
    for row in rows:
        if columns is not None and len(row.cells) != columns:
            raise row.error(f"{columns} columns are needed, got {len(row.cells)}")
    return rows


def by_name(
    rows: Iterable[Row], key: Callable[[Row], str] = lambda row: row.name
) -> dict[str, Row]:
    """Return rows by the name that `key` gives, in order.

    Raises:
        ManifestError: If a name appears twice.
    """
    found: dict[str, Row] = {}
    for row in rows:
        name = key(row)
        if name in found:
            raise row.error(f"{name!r} is already in {found[name].where}")
        found[name] = row
    return found


def require(rows: Mapping[str, Row], name: str, row: Row, file: str) -> Row:
    """Return the row of a name that `row` of another list refers to.

    Raises:
        ManifestError: If the name is not in `file`.
    """
    if name not in rows:
        raise row.error(f"{name!r} is not in {file}")
    return rows[name]
