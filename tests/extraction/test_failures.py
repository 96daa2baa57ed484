"""The file of failures that several packs share, and several processes write."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from vad_toolkit.extraction.failures import Failure, failed_ids, write_failures

WRITER = """
import sys
from pathlib import Path
from vad_toolkit.extraction.failures import Failure, write_failures
name = sys.argv[1]
sys.stdin.read()
for turn in range(60):
    write_failures(Path(name), [Failure("v", "v.mp4", str(turn))] * (turn % 2))
write_failures(Path(name), [Failure("v", "v.mp4", "last")])
"""


def test_lines_of_others_stay(tmp_path: Path) -> None:
    file = tmp_path / "failures.jsonl"
    file.write_text("a note\n[1]\n")
    write_failures(tmp_path / "a.h5", [Failure("x", "x.mp4", "why"), Failure("y", "y.mp4", "why")])
    write_failures(tmp_path / "b.h5", [Failure("x", "x.mp4", "why")])
    write_failures(tmp_path / "a.h5", [Failure("z", "z.mp4", "why")])
    assert file.read_text().splitlines()[:2] == ["a note", "[1]"]
    assert failed_ids(tmp_path)["a.h5"] == {"z"}
    assert failed_ids(tmp_path)["b.h5"] == {"x"}


def test_no_failures_leave_no_file(tmp_path: Path) -> None:
    write_failures(tmp_path / "a.h5", [])
    assert list(tmp_path.iterdir()) == []
    write_failures(tmp_path / "a.h5", [Failure("x", "x.mp4", "why")])
    write_failures(tmp_path / "a.h5", [])
    assert list(tmp_path.iterdir()) == []
    assert failed_ids(tmp_path) == {}


def test_processes_that_write_at_once_lose_no_line(tmp_path: Path) -> None:
    """Each replaces, removes and makes the file that the others are waiting for."""
    names = [f"{number}.h5" for number in range(4)]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, tmp_path / name], stdin=subprocess.PIPE)
        for name in names
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()  # all begin now
    assert [writer.wait() for writer in writers] == [0] * 4
    lines = [json.loads(line) for line in (tmp_path / "failures.jsonl").read_text().splitlines()]
    assert sorted(line["pack"] for line in lines) == names
    assert [line["reason"] for line in lines] == ["last"] * 4
