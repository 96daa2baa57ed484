"""`kill -9` at random moments of a training: the same command then gives the bytes of a whole run.

VAD_KILLS says how many moments are tried (default 1; the release check takes 20).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vad_toolkit.core.files import TEMPORARY_MARK

KILLS = int(os.environ.get("VAD_KILLS", "1"))
SETTINGS = {
    "steps": 40,
    "pairs": 4,
    "log_every": 7,
    "checkpoint_every": 10,
    "validation.every": 11,
    "data.segments": 8,
    "head.width": 32,
    "head.stream_width": 16,
}
START_SECONDS = 2.0  # before that the process imports and has begun nothing


def command(dataset, out: Path, *arguments: str) -> list[str]:
    settings = [part for key, value in SETTINGS.items() for part in ("--set", f"{key}={value}")]
    return [
        *(sys.executable, "-c", "from vad_cli.main import main; main()", "train"),
        *("--pack", str(dataset.pack), "--manifest", str(dataset.manifest), "--out", str(out)),
        *("--device", "cpu", "--threads", "1", *settings, *arguments),
    ]


def contents(out: Path) -> dict[str, bytes]:
    """All files but TensorBoard's, whose names and records hold the time."""
    files = (path for path in out.rglob("*") if path.is_file())
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in files
        if "tensorboard" not in path.parts
    }


@pytest.mark.slow
@pytest.mark.timeout(120 + 60 * KILLS)
@pytest.mark.parametrize(
    "arguments", [("--seed", "3"), ("--seeds", "2", "--jobs", "2")], ids=["one", "seeds"]
)
def test_kill_and_resume(dataset, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    begin = time.monotonic()
    whole = tmp_path / "whole"
    subprocess.run(command(dataset, whole, *arguments), check=True, capture_output=True)
    whole_seconds = time.monotonic() - begin
    expected = contents(whole)
    assert any(name.endswith("result.json") for name in expected)

    generator = random.Random(4)
    killed = 0
    for attempt in range(KILLS):
        out = tmp_path / f"attempt {attempt}"
        process = subprocess.Popen(
            command(dataset, out, *arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            time.sleep(generator.uniform(min(START_SECONDS, whole_seconds / 2), whole_seconds))
        finally:
            process.kill()
            killed += process.wait() == -signal.SIGKILL
        subprocess.run(command(dataset, out, *arguments), check=True, capture_output=True)
        assert contents(out) == expected
        assert not list(out.rglob(f"*{TEMPORARY_MARK}*"))
    print(f"killed {killed} of {KILLS} runs before they ended")
