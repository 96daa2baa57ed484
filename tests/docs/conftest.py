"""The folder in which documentation is run: small clips, and what README's session makes of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vad_toolkit.core.locks import locked
from vad_toolkit.video.encode import write_video

CLIPS = 4  # per class
FRAMES = 40
SESSION = (
    ("manifest", "build", "folder", "--root", "videos", "--out", "manifests", "--trimmed"),
    ("extract", "videos", "--recipe", "i3d-rgb-center", "--out", "features.h5"),
    ("train", "--pack", "features.h5", "--manifest", "manifests/train.jsonl", "--out", "run",
     "--config", "clav-como-small", "--seeds", "2", "--set", "steps=40"),
)  # fmt: skip


def draw(seed: int, fast: bool) -> Iterator[NDArray[np.uint8]]:
    """Yield frames of a bright square on noise; it moves slowly, or in a fast zigzag."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(40, 90, (72, 96, 3), dtype=np.uint8)
    for index in range(FRAMES):
        frame = ground.copy()
        left = 4 + (index * 11 * (1 + seed % 3)) % 70 if fast else 10 + index // 4
        top = 8 + (index * 7) % 40 if fast else 20
        frame[top : top + 16, left : left + 16] = rng.integers(150, 255, 3)
        yield frame


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory, real_weights: str) -> Path:
    """README's session, run once for all test processes; copy it before writing into it."""
    folder = tmp_path_factory.getbasetemp().parent / "documentation-session"
    folder.mkdir(exist_ok=True)
    with locked(folder / "lock"):
        if not (folder / "done").exists():
            _make(folder / "session")
            (folder / "done").touch()
    return folder / "session"


def _make(folder: Path) -> None:
    for number in range(CLIPS):
        for name, fast in (("normal", False), ("fight", True)):
            path = folder / "videos" / name / f"{name}_{number}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(path, draw(10 * number + fast, fast), fps=25)
    write_video(folder / "new-video.mp4", draw(99, True), fps=25)
    vad = [sys.executable, "-c", "from vad_cli.main import main; main()"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for arguments in SESSION:
        done = subprocess.run(
            [*vad, *arguments],
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"vad {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    for side in ("train", "test"):
        shutil.copy(folder / "manifests" / f"{side}.jsonl", folder)
