"""Events of many videos in one CSV file."""

from __future__ import annotations

from pathlib import Path

import pytest

from vad_toolkit.datasets.building.csv_file import read_events
from vad_toolkit.errors import ManifestError


def write(folder: Path, *rows: str) -> Path:
    path = folder / "events.csv"
    path.write_text("\n".join(("id,start,end", *rows)) + "\n", encoding="utf-8")
    return path


def test_events_are_gathered_and_sorted(tmp_path: Path) -> None:
    path = write(tmp_path, "a/x,40,50", "b,0,1", "a/x,010,40")
    assert read_events(path) == {"a/x": ((10, 40), (40, 50)), "b": ((0, 1),)}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,5,5", r"events.csv:3: start must be less than end \(5\), got 5"),
        ("a,x,5", r"events.csv:3: start must be a frame number >= 0, got 'x'"),
        ("a,-1,5", r"start must be a frame number >= 0, got '-1'"),
        ("a,1.5,5", r"start must be a frame number"),
        ("a,1_0,50", r"start must be a frame number"),
        ("a,0,²", r"end must be a frame number"),
        ("a,5,", r"events.csv:3: column end must not be empty"),
        ("a,15,30", r"events.csv:3: event \[15, 30\) of 'a' overlaps \[10, 20\)"),
        ("a,0,11", r"overlaps \[10, 20\)"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        read_events(write(tmp_path, "a,10,20", row))
