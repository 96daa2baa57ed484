"""Events of many videos in one CSV file: columns id, start, end, in frames [start, end)."""

from __future__ import annotations

from pathlib import Path

from vad_toolkit.datasets.manifest import Event
from vad_toolkit.datasets.table import parse_frame, read_table
from vad_toolkit.errors import ManifestError

COLUMNS = ("id", "start", "end")


def read_events(path: Path) -> dict[str, tuple[Event, ...]]:
    """Events by video id, each video's sorted.

    Raises:
        ManifestError: naming file, line and value; also where two events of a video overlap.
    """
    events: dict[str, list[Event]] = {}
    for row in read_table(path, required=COLUMNS):
        start = parse_frame(row, "start")
        stop = parse_frame(row, "end")
        if start >= stop:
            raise ManifestError(f"{row.where}: start {start} has to be less than end {stop}")
        own = events.setdefault(row.values["id"], [])
        for other in own:
            if start < other[1] and other[0] < stop:
                raise ManifestError(
                    f"{row.where}: event [{start}, {stop}) of {row.values['id']!r} overlaps "
                    f"[{other[0]}, {other[1]})"
                )
        own.append((start, stop))
    return {id: tuple(sorted(own)) for id, own in events.items()}
