"""Published lists as rows, each of which knows its file and line, and what every module returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.datasets.source_split import check_sides
from vad_toolkit.errors import ManifestError


@dataclass(frozen=True)
class OfficialSplit:
    """The entries of a benchmark, in the published order.

    Raises:
        ManifestError: a video stands on two sides.
    """

    train: tuple[Entry, ...]
    test: tuple[Entry, ...]
    validation: tuple[Entry, ...] = ()

    def __post_init__(self) -> None:
        check_sides(self.train, self.test)
        check_sides((*self.train, *self.test), self.validation)


@dataclass(frozen=True)
class Row:
    """One line of a list, in cells. `where` is its file and line."""

    where: str
    cells: tuple[str, ...]

    @property
    def name(self) -> str:
        """The first cell."""
        return self.cells[0]

    def number(self, column: int) -> int:
        """A cell that has to hold a whole number."""
        try:
            return int(self.cells[column])
        except ValueError as error:
            raise self.error(f"{self.cells[column]!r} is no whole number") from error

    def error(self, problem: str) -> ManifestError:
        """What is wrong with this line, for `raise`."""
        return ManifestError(f"{self.where}: {problem}")


def read_rows(
    path: Path, columns: int | None = 1, separator: str | None = None, header: str | None = None
) -> list[Row]:
    """The lines of a list; blank ones are passed over.

    Args:
        path: a text in UTF-8.
        columns: how many cells each line has; None for any number.
        separator: what stands between cells; white space by default. Names hold spaces in no list.
        header: what the first line has to be.

    Raises:
        ManifestError: the file cannot be read, has no lines or another header, or a line has
            another number of cells.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not a text in UTF-8 ({error.reason})") from error
    rows = [
        Row(f"{path}:{number}", tuple(line.strip().split(separator)))
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if header is not None:
        wanted = tuple(header.split())
        if not rows or rows[0].cells != wanted:
            raise ManifestError(f"{path}:1: has to be the names {', '.join(wanted)}")
        columns = len(wanted)
        del rows[0]
    if not rows:
        raise ManifestError(f"{path}: holds no videos")
    for row in rows:
        if columns is not None and len(row.cells) != columns:
            raise row.error(f"{len(row.cells)} columns; {columns} are needed")
    return rows


def by_name(
    rows: Iterable[Row], key: Callable[[Row], str] = lambda row: row.name
) -> dict[str, Row]:
    """Rows by the name that `key` gives, in order.

    Raises:
        ManifestError: a name stands twice.
    """
    found: dict[str, Row] = {}
    for row in rows:
        name = key(row)
        if name in found:
            raise row.error(f"{name!r} stands in {found[name].where} already")
        found[name] = row
    return found


def require(rows: Mapping[str, Row], name: str, row: Row, file: str) -> Row:
    """The row of a name that another list, `row`, has.

    Raises:
        ManifestError: there is none in `file`.
    """
    if name not in rows:
        raise row.error(f"{name!r} is not in {file}")
    return rows[name]
