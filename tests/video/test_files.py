from __future__ import annotations

from pathlib import Path

import pytest

from vad_toolkit.errors import InputError
from vad_toolkit.video.files import find_videos


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_videos_are_found_in_sub_folders_in_a_fixed_order(tmp_path: Path) -> None:
    touch(tmp_path, "b.mp4", "a/z.AVI", "a/c.MkV", "a b/ü.webm", "B.ts")
    found = [path.relative_to(tmp_path).as_posix() for path in find_videos(tmp_path)]
    assert found == ["B.ts", "a b/ü.webm", "a/c.MkV", "a/z.AVI", "b.mp4"]


def test_other_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt", "mp4", ".hidden.mp4", ".cache/a.mp4", "a.mp4.part", "._a.mp4")
    assert find_videos(tmp_path) == []


@pytest.mark.parametrize("name", ["absent", "file.mp4"])
def test_what_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "file.mp4")
    with pytest.raises(InputError, match=f"{name}: not a folder; name a folder that holds videos"):
        find_videos(tmp_path / name)
