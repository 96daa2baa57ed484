from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.video.encode import write_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good videos, one of them in a sub-folder, and an empty file."""
    folder = tmp_path_factory.mktemp("videos")
    (folder / "sub").mkdir()
    frames = [np.full((256, 320, 3), 8 * index, np.uint8) for index in range(20)]
    write_video(folder / "a.mp4", frames, fps=10)
    write_video(folder / "sub" / "b.mp4", frames, fps=10)
    (folder / "empty.mp4").touch()
    return folder


def test_a_table_a_summary_and_the_exit_code(vad, folder: Path) -> None:
    result = vad("probe", folder, "--jobs", "1")
    assert result.returncode == 1
    head, first, second, third, _, *totals = result.stdout.splitlines()
    assert head.split()[:6] == ["video", "size", "fps", "frames", "codec", "container"]
    assert first.split() == [
        *(str(folder / "a.mp4"), "320x256", "10", "20", "h264", "mp4", "pyav", "0")
    ]
    assert "CANNOT BE USED: is empty (0 bytes)" in second
    assert third.startswith(str(folder / "sub" / "b.mp4"))
    assert [line.split()[-1] for line in totals] == ["3", "40", "0.0000", "1"]
    assert "probe: 3/3 videos" in result.stderr


def test_json_and_exact_counts(vad, folder: Path) -> None:
    result = vad("probe", folder / "a.mp4", folder / "sub", "--decode", "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["summary"] == {"videos": 2, "frames": 40, "hours": 0.0, "cannot_be_used": 0}
    assert [video["frames_decoded"] for video in found["videos"]] == [20, 20]
    assert found["videos"][0]["path"] == str(folder / "a.mp4")


def test_a_folder_without_videos_is_a_wrong_input(vad, tmp_path: Path) -> None:
    result = vad("probe", tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("Error: no videos in")
