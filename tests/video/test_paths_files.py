from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from vad_toolkit.errors import DecodeError, InputError
from vad_toolkit.video.paths import find_videos, is_video_source, source_bytes, source_sha256


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
    with pytest.raises(InputError, match=f"{name} is not a folder; name a folder of videos"):
        find_videos(tmp_path / name)


def test_folders_of_frames_are_videos_among_the_files(tmp_path: Path) -> None:
    touch(tmp_path, "b.mp4", "train/01.02/000.jpg", "train/01.02/001.jpg", "train/01.02/.DS_Store")
    touch(tmp_path, "a/img_1.PNG", "pictures/cover.jpg", "photos/1.jpg", "photos/clip.mov")
    found = [path.relative_to(tmp_path).as_posix() for path in find_videos(tmp_path)]
    assert found == ["a", "b.mp4", "photos/clip.mov", "train/01.02"]


def test_the_folder_itself_may_be_one(tmp_path: Path) -> None:
    touch(tmp_path, "0.jpg", "1.jpg")
    assert find_videos(tmp_path) == [tmp_path]


def test_frames_beside_folders_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a/0.jpg", "a/masks/0.png", "b/c.mp4")
    message = f"{tmp_path / 'a'}: numbered images ('0.jpg') are next to the folder 'masks'"
    with pytest.raises(InputError, match=re.escape(message)):
        find_videos(tmp_path)


def test_links_to_videos_are_taken_and_other_folders_not_entered(tmp_path: Path) -> None:
    touch(tmp_path, "far/frames/0.jpg", "far/more/a.mp4", "root/plain/0.jpg")
    root = tmp_path / "root"
    (root / "linked").symlink_to(tmp_path / "far" / "frames")
    (root / "linked.mp4").symlink_to(tmp_path / "far" / "more" / "a.mp4")
    (root / "loop").symlink_to(root)
    (root / "more").symlink_to(tmp_path / "far" / "more")
    (root / "nowhere").symlink_to(tmp_path / "nowhere")
    assert [path.name for path in find_videos(root)] == ["linked", "linked.mp4", "plain"]


def test_what_can_be_opened(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "frames/0.jpg", "empty/.keep", "mixed/0.jpg", "mixed/more/0.jpg")
    names = ("a.mp4", "frames", "empty", "mixed", "nothing")
    assert [is_video_source(tmp_path / name) for name in names] == [True, True, False, False, False]


def test_the_digest_of_frames_is_that_of_sha256sums_list(tmp_path: Path) -> None:
    """LC_ALL=C sha256sum * | sha256sum"""
    contents = {"9.jpg": b"nine", "10.jpg": b"ten", "11.jpg": b""}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    lines = [f"{hashlib.sha256(contents[name]).hexdigest()}  {name}\n" for name in sorted(contents)]
    assert source_sha256(tmp_path) == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert source_sha256(tmp_path / "9.jpg") == hashlib.sha256(b"nine").hexdigest()
    (tmp_path / "notes.txt").write_text("not a frame")
    before = source_sha256(tmp_path)
    (tmp_path / "11.jpg").write_bytes(b"other")
    assert source_sha256(tmp_path) != before
    (tmp_path / "13.jpg").touch()
    with pytest.raises(DecodeError, match="frame 12 is missing"):
        source_sha256(tmp_path)


def test_bytes_are_guessed_from_the_first_frame(tmp_path: Path) -> None:
    for name, size in (("0.jpg", 7), ("1.jpg", 100), ("2.jpg", 1)):
        (tmp_path / name).write_bytes(bytes(size))
    assert source_bytes(tmp_path) == 21
    assert source_bytes(tmp_path / "1.jpg") == 100
    (tmp_path / "1.jpg").unlink()
    assert source_bytes(tmp_path) == source_bytes(tmp_path / "1.jpg") == 0
