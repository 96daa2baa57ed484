from __future__ import annotations

import re
from pathlib import Path

import pytest

from vad_toolkit.errors import DecodeError
from vad_toolkit.video.paths import is_frame_folder, list_frames


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ["10.jpg", "9.jpg", "8.jpg"],
        ["img_0002.png", "img_0001.png"],
        ["frame-1.TIF", "frame-0.bmp"],
        ["09.jpg", "10.jpg", "011.jpg"],
        ["5.jpg"],
    ],
)
def test_frames_come_in_the_order_of_their_numbers(tmp_path: Path, names: list[str]) -> None:
    folder = touch(tmp_path, *names)
    assert is_frame_folder(folder)
    by_number = sorted(names, key=lambda name: int(re.findall(r"\d+", name)[-1]))
    assert list_frames(folder) == by_number


def test_other_and_hidden_things_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "0.jpg", "._0.jpg", ".hidden/1.jpg", "Thumbs.db", "DESKTOP.ini", "0.txt")
    assert is_frame_folder(tmp_path)
    assert list_frames(tmp_path) == ["0.jpg"]


NO_FRAMES = {
    "nothing": ([".keep"], "is a folder without numbered images (000.jpg, 001.jpg, ...), not a"),
    "no numbers": (["a.jpg", "b.jpg"], "is a folder without numbered images"),
    "a video": (["0.jpg", "b.mp4"], "is a folder, not a video: 'b.mp4' is next to its images"),
    "a folder": (
        ["1.jpg", "0.jpg", "masks/0.png"],
        "numbered images ('0.jpg') are next to the folder 'masks'; a folder of frames contains "
        "nothing else: move one of them",
    ),
}


@pytest.mark.parametrize("kind", NO_FRAMES)
def test_what_is_no_folder_of_frames(tmp_path: Path, kind: str) -> None:
    names, message = NO_FRAMES[kind]
    touch(tmp_path, *names)
    assert not is_frame_folder(tmp_path)
    with pytest.raises(DecodeError, match=re.escape(f"{tmp_path}: {message}")):
        list_frames(tmp_path)


BROKEN = {
    "a gap": (["8.jpg", "10.jpg", "9.jpg", "12.jpg"], "frame 11 is missing, between '10.jpg' and"),
    "no number": (
        ["0.jpg", "cover.jpg"],
        "image 'cover.jpg' has no number, so its place is unknown",
    ),
    "one number": (["0.jpg", "00.jpg"], "'0.jpg' and '00.jpg' are both frame 0"),
    "two kinds": (["0.jpg", "1.jpg", "1.png"], "'1.jpg' and '1.png' are both frame 1"),
    "two videos": (["a0.jpg", "b1.jpg"], "'a0.jpg' and 'b1.jpg' differ before the number"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_sequence_is_a_video_that_is_refused(tmp_path: Path, kind: str) -> None:
    names, message = BROKEN[kind]
    touch(tmp_path, *names)
    assert is_frame_folder(tmp_path)
    with pytest.raises(DecodeError, match=re.escape(f"{tmp_path}: {message}")):
        list_frames(tmp_path)


def test_what_cannot_be_listed(tmp_path: Path) -> None:
    path = touch(tmp_path, "0.jpg") / "0.jpg"
    assert not is_frame_folder(path)
    assert not is_frame_folder(tmp_path / "absent")
    with pytest.raises(DecodeError, match=r"0.jpg: cannot be listed \(Not a directory\)"):
        list_frames(path)


def test_a_hundred_thousand_names_are_no_burden(tmp_path: Path, monkeypatch) -> None:
    """One listing and no look at any file: what a folder of that size can bear."""
    names = [f"{index:06}.jpg" for index in range(100_000)]
    monkeypatch.setattr("vad_toolkit.video.paths._list", lambda folder: ([], names[::-1]))
    assert list_frames(tmp_path) == names
