"""Videos that could not be used: a line each in the `failures.jsonl` beside a pack.

Packs of one folder share the file, and runs on several machines may write it at once: it is
rewritten whole, under a lock.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vad_toolkit.core.files import is_open_file, write_text

FAILURES = "failures.jsonl"


@dataclass(frozen=True)
class Failure:
    """One video that could not be used, and why, in one line."""

    id: str
    path: str
    reason: str


def write_failures(out: Path, failures: Sequence[Failure]) -> None:
    """Replace the lines of the pack `out`; a file that would be empty goes away."""
    path = out.parent / FAILURES
    if not failures and not path.exists():
        return
    with _locked(path):
        kept = [line for line in _lines(path) if _entry(line).get("pack") != out.name]
        lines = kept + [
            json.dumps({"pack": out.name, **asdict(failure)}, ensure_ascii=False)
            for failure in failures
        ]
        if lines:
            write_text(path, "".join(f"{line}\n" for line in lines))
        else:
            path.unlink()


def failed_ids(folder: Path) -> dict[str, set[str]]:
    """By the name of each pack in `folder`: the videos that its last run could not use."""
    failed: dict[str, set[str]] = {}
    for entry in map(_entry, _lines(folder / FAILURES)):
        failed.setdefault(str(entry.get("pack")), set()).add(str(entry.get("id")))
    return failed


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the file that is at `path`, which others replace and remove while this one waits."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if is_open_file(descriptor, path):
                yield
                return
        finally:
            os.close(descriptor)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _entry(line: str) -> dict[str, Any]:
    """A line's values; none of a line that is somebody else's."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
