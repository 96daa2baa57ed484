"""`kill -9` at random moments of an extraction: nothing is lost, nothing is left behind.

VAD_KILLS says how many moments are tried (default 1; the release check takes 30).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.core.files import TEMPORARY_MARK
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.video.encode import write_video

KILLS = int(os.environ.get("VAD_KILLS", "1"))
VIDEOS = 12
START_SECONDS = 2.0  # before that the process imports and has begun nothing


def command(videos: Path, out: Path) -> list[str]:
    return [
        *(sys.executable, "-c", "from vad_cli.main import main; main()", "extract", str(videos)),
        *("--recipe", "i3d-rgb-center", "--set", "weights=i3d-rgb-random"),
        *("--set", "resize=64", "--set", "crop_size=64", "--out", str(out)),
    ]


def digest(pack: Path) -> str:
    with FeaturePack.open(pack) as opened:
        assert opened.verify() == []
        assert len(opened) == VIDEOS
        return opened.content_sha256


@pytest.mark.slow
@pytest.mark.timeout(120 + 60 * KILLS)
def test_kill_and_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vad_toolkit.weights.store import get_weights

    monkeypatch.setenv("VAD_HOME", str(tmp_path / "home"))
    get_weights("i3d-rgb-random")
    videos = tmp_path / "videos"
    for index in range(VIDEOS):
        texture = np.random.default_rng(index).integers(0, 256, (64, 96, 3), np.uint8)
        frames = (np.roll(texture, 2 * i, axis=1) for i in range(48))
        write_video(videos / f"{index:02}.mp4", frames, fps=8)

    begin = time.monotonic()
    subprocess.run(command(videos, tmp_path / "whole.h5"), check=True, capture_output=True)
    whole_seconds = time.monotonic() - begin
    expected = digest(tmp_path / "whole.h5")

    generator = random.Random(4)
    killed = 0
    for attempt in range(KILLS):
        folder = tmp_path / f"attempt {attempt}"
        folder.mkdir()
        out = folder / "pack.h5"
        process = subprocess.Popen(
            command(videos, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            time.sleep(generator.uniform(min(START_SECONDS, whole_seconds / 2), whole_seconds))
        finally:
            process.kill()
            killed += process.wait() == -signal.SIGKILL
        subprocess.run(command(videos, out), check=True, capture_output=True)
        assert digest(out) == expected
        assert [path.name for path in folder.iterdir()] == ["pack.h5"]
        assert not list(folder.rglob(f"*{TEMPORARY_MARK}*"))
    print(f"killed {killed} of {KILLS} runs before they ended")
