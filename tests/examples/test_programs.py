"""Each program in examples/ runs, in a folder like that of README's session."""

from __future__ import annotations

import re
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vad_toolkit import build_manifest, open_pack, read_manifest

pytestmark = pytest.mark.timeout(900)

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def folder(session_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(session_folder, tmp_path / "session")
    monkeypatch.chdir(tmp_path / "session")
    return tmp_path / "session"


Run = Callable[..., str]


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a program of examples/ as `python NAME ARGUMENTS` does; return what it prints."""

    def run(name: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        capsys.readouterr()
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.mark.slow
def test_raw_videos_to_auc(run: Run) -> None:
    out = run("raw_videos_to_auc.py", "videos", "--steps", "20", "--seeds", "2")
    assert re.search(r"^frame-level AUC \d\.\d{4}, mean of 2 seeds$", out, re.MULTILINE)


def test_published_features_to_auc(folder: Path, run: Run) -> None:
    counted = folder / "counted"  # the rule of this layout needs the number of frames
    build_manifest("folder", folder / "videos", counted, trimmed=True, count=True)
    with open_pack(folder / "features.h5") as pack:
        for side in ("train", "test"):
            for entry in read_manifest(counted / f"{side}.jsonl"):
                path = folder / "files" / side / f"{entry.id}.npy"
                path.parent.mkdir(parents=True, exist_ok=True)
                np.save(path, pack[entry.id].astype(np.float32))
    out = run(
        "published_features_to_auc.py", "counted", "files/train", "files/test",
        "--layout", "rtfm", "--steps", "20",
    )  # fmt: skip
    assert re.search(r"^frame-level AUC \d\.\d{4}$", out, re.MULTILINE)


def test_custom_method(run: Run) -> None:
    out = run("custom_method.py", "features.h5", "train.jsonl", "test.jsonl")
    assert re.search(r"^frame-level AUC \d\.\d{4}$", out, re.MULTILINE)


def test_custom_backbone(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAD_HOME", str(folder / "home"))
    out = run("custom_backbone.py", "videos", "--out", "own.h5")
    assert "normal/normal_0: 2 snippets, 64 dimensions\n" in out


def test_scoring_loop(folder: Path, run: Run) -> None:
    (folder / "incoming").mkdir()
    shutil.copy(folder / "new-video.mp4", folder / "incoming" / "a.mp4")
    (folder / "incoming" / "b.mp4").write_text("not a video")
    out = run("scoring_loop.py", "run/seed-0", "incoming", "--seconds", "2")
    assert re.search(r"^a\.mp4: highest score \d\.\d{3}$", out, re.MULTILINE)
    assert "b.mp4: not scored: " in out
    assert (folder / "scores" / "a.mp4" / "a.csv").is_file()
