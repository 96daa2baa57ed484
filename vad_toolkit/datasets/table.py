"""CSV files that people write by hand: a header, known columns, errors with the line number."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vad_toolkit.errors import ManifestError


@dataclass(frozen=True)
class Row:
    """One row: its cells by column, stripped, and where it stands ("videos.csv:7")."""

    where: str
    values: Mapping[str, str]


def read_table(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row]:
    """Rows of a CSV file in UTF-8 with a header. Empty rows are passed over.

    Columns that are not there give empty texts; those in `required` may not be empty.

    Raises:
        ManifestError: the file cannot be read, a column is missing, unknown or there twice, or a
            row has too many cells or lacks a required one; names the line.
    """
    allowed = (*required, *optional)
    try:
        # utf-8-sig, since spreadsheets put a byte order mark in front.
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            _check_header(path, header, required, allowed)
            for cells in reader:
                where = f"{path}:{reader.line_num}"
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) > len(header):
                    raise ManifestError(
                        f"{where}: {len(cells)} cells under {len(header)} columns; a cell with a "
                        'comma has to stand in "double quotes"'
                    )
                values = dict.fromkeys(allowed, "")
                values.update(zip(header, (cell.strip() for cell in cells), strict=False))
                for column in required:
                    if not values[column]:
                        raise ManifestError(f"{where}: column {column} is empty; it is needed")
                yield Row(where, values)
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not a text in UTF-8 ({error.reason})") from error
    except csv.Error as error:
        raise ManifestError(f"{path}:{reader.line_num}: not CSV ({error})") from error


def parse_frame(row: Row, column: str) -> int:
    """A cell as a frame number, 0 or more. Raises ManifestError."""
    text = row.values[column]
    if not text.isascii() or not text.isdigit():
        raise ManifestError(f"{row.where}: {column} = {text!r}: has to be a frame, 0 or more")
    return int(text)


def _check_header(
    path: Path, header: Sequence[str], required: Sequence[str], allowed: Sequence[str]
) -> None:
    for column in header:
        if column not in allowed:
            raise ManifestError(
                f"{path}:1: column {column!r} is not known; allowed are {', '.join(allowed)}, "
                "separated by commas"
            )
        if header.count(column) > 1:
            raise ManifestError(f"{path}:1: column {column!r} stands twice")
    for column in required:
        if column not in header:
            raise ManifestError(
                f"{path}:1: column {column} is missing; needed are {', '.join(required)}"
            )
