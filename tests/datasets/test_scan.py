"""Video ids of a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vad_toolkit.datasets.scan import video_id, video_ids
from vad_toolkit.errors import InputError, ManifestError


def test_ids_are_paths_without_suffix(make_videos: Callable[..., Path]) -> None:
    root = make_videos("b/x.MP4", "a/sub dir/ü.1.avi", "c.mkv", ".hidden/x.mp4", "b/._x.mp4")
    (root / "b" / "notes.txt").touch()
    assert video_ids(root) == {
        "a/sub dir/ü.1": "a/sub dir/ü.1.avi",
        "b/x": "b/x.MP4",
        "c": "c.mkv",
    }


def test_two_files_with_one_id(make_videos: Callable[..., Path]) -> None:
    root = make_videos("a/x.mp4", "a/x.avi")
    with pytest.raises(ManifestError, match=r"'a/x.avi' and 'a/x.mp4' would both be video 'a/x'"):
        video_ids(root)


def test_a_name_that_is_no_id(make_videos: Callable[..., Path]) -> None:
    with pytest.raises(ManifestError, match=r"'a\\nb.mp4': control characters are not"):
        video_ids(make_videos("a\nb.mp4"))
    with pytest.raises(ManifestError, match="none of them empty"):
        video_id("../a.mp4")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder"):
        video_ids(tmp_path / "none")
