"""Videos that could not be used: a line each in the `failures.jsonl` beside a pack."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vad_toolkit.files import write_text

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
    there = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    kept = [line for line in there.splitlines() if _pack_of(line) != out.name]
    lines = kept + [
        json.dumps({"pack": out.name, **asdict(failure)}, ensure_ascii=False)
        for failure in failures
    ]
    if lines:
        write_text(path, "".join(f"{line}\n" for line in lines))
    else:
        path.unlink(missing_ok=True)


def _pack_of(line: str) -> str | None:
    """The pack that a line names; None for a line that is somebody else's."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry.get("pack") if isinstance(entry, dict) else None
