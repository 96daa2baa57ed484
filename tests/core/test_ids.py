"""Video ids: valid ones, and ids that can be in one pack together."""

from __future__ import annotations

import pytest

from vad_toolkit.core.ids import IdSet, check_id, check_ids, check_text
from vad_toolkit.errors import PackError


@pytest.mark.parametrize(
    "id", ["a", "fight/fi001", "Abuse/Abuse001_x264", "ünïcode/日本", "a b.c-d", "x/rgb", "..a/b.."]
)
def test_ids(id: str) -> None:
    assert check_id(id) == id


@pytest.mark.parametrize(
    ("id", "match"),
    [
        ("", r"video id '': must be a relative path"),
        ("/a", r"must be a relative path"),
        ("a/", r"must be a relative path"),
        ("a//b", r"must be a relative path"),
        ("a/../b", r"none of them empty, '\.' or '\.\.'"),
        (".", r"must be a relative path"),
        ("/".join("a" * 33), r"at most 32 parts"),
        ("a\0b", r"video id 'a\\x00b': control characters are not allowed"),
        ("a\nb", r"control characters"),
        ("a\x1b[31m", r"control characters"),
        ("a\udcff", r"control characters"),
        ("é" * 513, r"at most 1024 bytes"),
    ],
)
def test_what_is_no_id(id: str, match: str) -> None:
    with pytest.raises(PackError, match=match) as caught:
        check_id(id)
    assert str(caught.value).isprintable()


def test_ids_that_go_together() -> None:
    check_ids(["a", "b/a", "b/ab", "b/a-c/d", "rgb", "c/rgb"])
    check_ids([])


@pytest.mark.parametrize(
    "ids", [["a", "a/rgb"], ["a/rgb", "a"], ["x/a", "x/a/b/c"], ["x/a/b/c", "x"]]
)
def test_id_inside_another(ids: list[str]) -> None:
    with pytest.raises(PackError, match="cannot be a video and a folder of videos in one pack"):
        check_ids(ids)


def test_refused_id_is_not_kept() -> None:
    ids = IdSet()
    ids.add("a/b")
    with pytest.raises(PackError, match=r"video id 'a/b' occurs twice"):
        ids.add("a/b")
    with pytest.raises(PackError, match=r"video id 'a/b/c': 'a/b' cannot be a video and a folder"):
        ids.add("a/b/c")
    assert len(ids) == 1


def test_texts() -> None:
    assert check_text("dataset", "UCF-Crime, naïve") == "UCF-Crime, naïve"
    with pytest.raises(PackError, match="dataset must be a text, got 3"):
        check_text("dataset", 3)
    with pytest.raises(PackError, match=r"license 'a\\nb': control characters are not allowed"):
        check_text("license", "a\nb")
