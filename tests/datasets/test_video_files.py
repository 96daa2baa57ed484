"""Files of a manifest's videos in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vad_toolkit.datasets.manifest import Entry, Manifest, read_manifest, write_manifest
from vad_toolkit.datasets.video_files import missing_files, video_paths
from vad_toolkit.errors import ManifestError

MakeEntry = Callable[..., Entry]


def test_files_that_are_not_there(make_entry: MakeEntry, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b.mp4").mkdir()
    manifest = Manifest((make_entry("a"), make_entry("b"), make_entry("c")), "x")
    assert missing_files(manifest, tmp_path) == {
        "b": f"no file or folder of frames 'b.mp4' in {tmp_path}",
        "c": f"no file or folder of frames 'c.mp4' in {tmp_path}",
    }


def test_a_folder_of_frames_is_there(make_entry: MakeEntry, tmp_path: Path) -> None:
    (tmp_path / "01.02").mkdir()
    (tmp_path / "01.02" / "000.jpg").touch()
    manifest = Manifest((make_entry("01.02", path="01.02"),), "x")
    assert missing_files(manifest, tmp_path) == {}
    (tmp_path / "01.02" / "000.jpg").unlink()
    assert len(missing_files(manifest, tmp_path)) == 1


def test_links_may_not_lead_out(make_entry: MakeEntry, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "outside.mp4").touch()
    (root / "a.mp4").touch()
    (root / "b.mp4").symlink_to(root / "a.mp4")
    (root / "c.mp4").symlink_to(tmp_path / "outside.mp4")
    file = tmp_path / "train.jsonl"
    write_manifest(file, [make_entry("a"), make_entry("b")])
    assert video_paths(read_manifest(file), root) == [root / "a.mp4", root / "b.mp4"]
    file.write_text(file.read_text() + "\n" + make_entry("c").canonical_json() + "\n")
    manifest = read_manifest(file)
    (line,) = missing_files(manifest, root).values()
    assert line.startswith(f"path 'c.mp4' leads out of {root}, by a link to {tmp_path}/outside.mp4")
    with pytest.raises(ManifestError, match=r"train.jsonl:4: id 'c': path 'c.mp4' leads out of"):
        video_paths(manifest, root)
