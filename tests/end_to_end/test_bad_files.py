"""A folder with damaged files: the run continues, reports each reason and keeps the good videos."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from vad_toolkit.packs.pack import FeaturePack

BAD = {"corrupted", "empty", "text", "truncated"}


def test_edge_cases(reference: Path, tmp_path: Path, vad, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "all of it"
    shutil.copytree(reference / "video" / "edge_cases", folder)
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("no video at all\n" * 100)
    whole = (reference / "video" / "samples" / "arm_wrestling.mp4").read_bytes()
    (folder / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    good = {path.stem for path in folder.iterdir()} - BAD

    monkeypatch.setenv("VAD_HOME", str(tmp_path / "home"))
    assert vad("weights", "get", "i3d-rgb-random").returncode == 0
    small = ("--set", "weights=i3d-rgb-random", "--set", "resize=64", "--set", "crop_size=64")
    out = tmp_path / "pack.h5"
    done = vad("extract", folder, "--recipe", "i3d-rgb-center", *small, "--out", out)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    lines = [json.loads(x) for x in (tmp_path / "failures.jsonl").read_text().splitlines()]
    assert {line["id"] for line in lines} == BAD
    assert len(lines) == len(BAD)
    assert all(line["reason"].strip() and "\n" not in line["reason"] for line in lines)
    with FeaturePack.open(out) as pack:
        assert set(pack.ids) == good
        assert pack.meta("tree").frames == 68
        assert pack.meta("tree").frames_reported != 68
        upright = pack.meta("video_90")
        assert upright.height > upright.width
    again = vad("extract", folder, "--recipe", "i3d-rgb-center", *small, "--out", out, "--json")
    assert again.returncode == 1
    summary = json.loads(again.stdout)
    assert (summary["videos_reused"], summary["videos_failed"]) == (len(good), len(BAD))
