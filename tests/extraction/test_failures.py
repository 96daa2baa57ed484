"""The file of failures that several packs share, and several processes write."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from vad_toolkit.extraction.failures import FAILURES, Failure, failed_ids, write_failures

WRITER = """
import sys
from pathlib import Path
from vad_toolkit.extraction.failures import Failure, write_failures
path, pack = Path(sys.argv[1]), sys.argv[2]
sys.stdin.read()
for turn in range(60):
    write_failures(path, [Failure("v", "v.mp4", str(turn))] * (turn % 2), pack=pack)
write_failures(path, [Failure("v", "v.mp4", "last")], pack=pack)
"""


def failures(*ids: str) -> list[Failure]:
    return [Failure(id, f"{id}.mp4", "why") for id in ids]


def test_lines_of_others_stay(tmp_path: Path) -> None:
    file = tmp_path / FAILURES
    file.write_text("a note\n[1]\n")
    write_failures(file, failures("x", "y"), pack="a.h5")
    write_failures(file, failures("x"), pack="b.h5")
    write_failures(file, failures("p"))
    write_failures(file, failures("z"), pack="a.h5")
    write_failures(file, failures("q"))
    assert file.read_text().splitlines()[:2] == ["a note", "[1]"]
    assert failed_ids(tmp_path)["a.h5"] == {"z"}
    assert failed_ids(tmp_path)["b.h5"] == {"x"}
    assert json.loads(file.read_text().splitlines()[-1]) == {
        "id": "q",
        "path": "q.mp4",
        "reason": "why",
    }
    assert len(file.read_text().splitlines()) == 5


def test_no_failures_leave_no_file(tmp_path: Path) -> None:
    file = tmp_path / FAILURES
    for pack in ("a.h5", None):
        write_failures(file, [], pack=pack)
        assert list(tmp_path.iterdir()) == []
        write_failures(file, failures("x"), pack=pack)
        write_failures(file, [], pack=pack)
        assert list(tmp_path.iterdir()) == []
    assert failed_ids(tmp_path) == {}


def test_processes_that_write_at_once_lose_no_line(tmp_path: Path) -> None:
    """Each replaces, removes and creates the file that the others are waiting for."""
    names = [f"{number}.h5" for number in range(4)]
    command = [sys.executable, "-c", WRITER, tmp_path / FAILURES]
    writers = [subprocess.Popen([*command, name], stdin=subprocess.PIPE) for name in names]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()  # all begin now
    assert [writer.wait() for writer in writers] == [0] * 4
    lines = [json.loads(line) for line in (tmp_path / FAILURES).read_text().splitlines()]
    assert sorted(line["pack"] for line in lines) == names
    assert [line["reason"] for line in lines] == ["last"] * 4
