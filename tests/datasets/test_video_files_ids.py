"""Video ids of a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vad_toolkit.datasets.video_files import video_id, video_ids
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
    with pytest.raises(
        ManifestError, match=r"'a/x.avi' and 'a/x.mp4' would both have the id 'a/x'"
    ):
        video_ids(root)


def test_a_name_that_is_no_id(make_videos: Callable[..., Path]) -> None:
    with pytest.raises(ManifestError, match=r"'a\\nb.mp4': control characters are not"):
        video_ids(make_videos("a\nb.mp4"))
    with pytest.raises(ManifestError, match="none of them empty"):
        video_id("../a.mp4")


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder"):
        video_ids(tmp_path / "none")


def test_folders_of_frames_keep_their_whole_names(
    make_videos: Callable[..., Path], make_frames: Callable[..., Path]
) -> None:
    make_videos("01.avi")
    root = make_frames("frames/01.02", "frames/01_03", frames=1)
    assert video_ids(root) == {
        "01": "01.avi",
        "frames/01.02": "frames/01.02",
        "frames/01_03": "frames/01_03",
    }
    assert video_id("frames/01.02", is_folder=True) == "frames/01.02"


def test_a_file_and_a_folder_of_one_id(
    make_videos: Callable[..., Path], make_frames: Callable[..., Path]
) -> None:
    make_videos("01.avi")
    with pytest.raises(ManifestError, match=r"'01' and '01.avi' would both have the id '01'"):
        video_ids(make_frames("01", frames=1))


def test_the_root_is_no_video_itself(make_frames: Callable[..., Path]) -> None:
    root = make_frames("01", frames=1)
    with pytest.raises(
        ManifestError, match=r"01 is a single video \(frames\); name the folder above"
    ):
        video_ids(root / "01")
