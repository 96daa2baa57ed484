"""The `failures.jsonl` file: one JSON line per video that could not be used.

Extraction writes it next to a pack, prediction into its result folder. Packs in one folder share
the file and several machines may write it at once, so it is rewritten as a whole under a lock.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vad_toolkit.core.files import write_text
from vad_toolkit.core.locks import locked

FAILURES = "failures.jsonl"


@dataclass(frozen=True)
class Failure:
    """A video that could not be used, and the reason in one line."""

    id: str
    path: str
    reason: str


def write_failures(path: Path, failures: Sequence[Failure], *, pack: str | None = None) -> None:
    """Replace the lines of one pack, and remove the file if it would be empty.

    Each line has the keys pack (its file name, if given), id, path and reason. If `pack` is None,
    the lines without a pack are replaced.
    """
    if not failures and not path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path):
        kept = [
            line
            for line in _lines(path)
            if (entry := _entry(line)) is None or entry.get("pack") != pack
        ]
        owner = {} if pack is None else {"pack": pack}
        lines = kept + [
            json.dumps({**owner, **asdict(failure)}, ensure_ascii=False) for failure in failures
        ]
        if lines:
            write_text(path, "".join(f"{line}\n" for line in lines))
        else:
            path.unlink()


def failed_ids(folder: Path) -> dict[str, set[str]]:
    """Return, for each pack in `folder`, the ids of the videos that failed in its last run."""
    failed: dict[str, set[str]] = {}
    for entry in filter(None, map(_entry, _lines(folder / FAILURES))):
        failed.setdefault(str(entry.get("pack")), set()).add(str(entry.get("id")))
    return failed


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _entry(line: str) -> dict[str, Any] | None:
    """Return the values of a line, or None for a line that this module did not write."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
