"""Videos and their ids, from what the user named."""

from __future__ import annotations

from pathlib import Path

import pytest

from vad_toolkit.errors import InputError
from vad_toolkit.extraction.sources import VideoSource, list_sources


def test_sources(tmp_path: Path) -> None:
    for name in ("a.mp4", "b c/d.avi", "b c/a.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [s.id for s in list_sources([tmp_path])] == ["a", "b c/a", "b c/d"]
    assert list_sources(str(tmp_path)) == list_sources([tmp_path])
    assert [s.id for s in list_sources([tmp_path / "b c" / "d.avi"])] == ["d"]
    with pytest.raises(InputError, match="have the same id 'a'"):
        list_sources([tmp_path, tmp_path / "b c" / "a.mp4"])
    with pytest.raises(InputError, match="nothing' does not exist; give"):
        list_sources([tmp_path / "nothing"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty' holds no videos"):
        list_sources([tmp_path / "empty"])


def test_sources_that_are_folders_of_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.mp4", "b/01.02/000.jpg", "b/01.02/001.jpg", "b/03/000.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    named = [VideoSource("01.02", tmp_path / "b" / "01.02")]
    assert [s.id for s in list_sources([tmp_path])] == ["a", "b/01.02", "b/03"]
    assert list_sources([tmp_path / "b" / "01.02"]) == named
    monkeypatch.chdir(tmp_path / "b" / "01.02")
    assert list_sources([Path()]) == [VideoSource("01.02", Path())]
    assert list_sources([Path("../03/../01.02/.")])[0].id == "01.02"
    with pytest.raises(InputError, match=r"have the same id '01.02'"):
        list_sources([tmp_path / "b", tmp_path / "b" / "01.02"])
    (tmp_path / "b" / "03" / "more").mkdir()
    with pytest.raises(InputError, match=r"03: numbered images .* next to the folder 'more'"):
        list_sources([tmp_path])
