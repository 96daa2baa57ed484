from __future__ import annotations

import pytest

from vad_toolkit.video.paths import frame_number, is_hidden, is_image_name, is_video_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("000.jpg", ("", 0)),
        ("9.JPEG", ("", 9)),
        ("img_0001.Png", ("img_", 1)),
        ("frame-12.png", ("frame-", 12)),
        ("2024 01.tif", ("2024 ", 1)),
        ("a.7.bmp", ("a.", 7)),
        ("7.tiff", ("", 7)),
        ("a\n7.jpg", ("a\n", 7)),
    ],
)
def test_the_number_at_the_end_of_a_name(name: str, expected: tuple[str, int]) -> None:
    assert frame_number(name) == expected


@pytest.mark.parametrize(
    "name", ["7.txt", "7", "cover.jpg", "7_gt.png", "._7.jpg", ".7.jpg", "٣.jpg"]
)
def test_no_frames_by_name(name: str) -> None:
    assert frame_number(name) is None


def test_what_names_say() -> None:
    assert is_hidden("Thumbs.db")
    assert is_hidden("desktop.INI")
    assert is_video_name("a.MP4")
    assert not is_video_name("a.jpg")
    assert not is_video_name("mp4")
    assert is_image_name("cover.JPG")
    assert not is_image_name(".cover.jpg")
