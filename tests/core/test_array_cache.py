"""The array cache: hits, damage, failed fills, limits, and folders that cannot be used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vad_toolkit.core import array_cache as cache_module
from vad_toolkit.core.array_cache import cached_array
from vad_toolkit.errors import PackError, VadError

HALF = np.dtype(np.float16)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("VAD_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "cache" / "segments"


class Fill:
    """Writes 0, 1, 2 ..., and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, array: NDArray[Any]) -> None:
        self.calls += 1
        array[:] = np.arange(len(array))


def test_an_array_is_made_once(folder: Path) -> None:
    fill = Fill()
    for _ in range(2):
        array = cached_array("ab", 7, HALF, fill)
        assert array.tolist() == [0, 1, 2, 3, 4, 5, 6]
        assert isinstance(array, np.memmap)
    assert fill.calls == 1
    array[0] = 9  # stays in this process
    assert cached_array("ab", 7, HALF, fill)[0] == 0


@pytest.mark.parametrize("content", [b"", b"no array", None])
def test_what_is_no_such_array_is_made_again(folder: Path, content: bytes | None) -> None:
    fill = Fill()
    cached_array("ab", 5, HALF, fill)
    if content is not None:
        (folder / "ab.npy").write_bytes(content)
    else:
        np.save(folder / "ab.npy", np.zeros(3))
    assert cached_array("ab", 5, HALF, fill).tolist() == [0, 1, 2, 3, 4]
    assert fill.calls == 2


def test_nothing_is_kept_of_one_that_fails(folder: Path) -> None:
    def fail(array: NDArray[Any]) -> None:
        raise PackError("video 'a' is damaged")

    with pytest.raises(PackError, match="video 'a' is damaged"):
        cached_array("ab", 5, HALF, fail)
    assert [path.name for path in folder.iterdir()] == ["lock"]


def test_what_a_killed_process_was_writing_goes(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "cd.npy.tmp-4711").write_bytes(b"half")
    cached_array("ab", 5, HALF, Fill())
    assert sorted(path.name for path in folder.iterdir()) == ["ab.npy", "lock"]


def test_the_folder_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, key in enumerate(("aa", "bb", "cc")):
        cached_array(key, 100, HALF, Fill())
        os.utime(folder / f"{key}.npy", (number, number))
    cached_array("aa", 100, HALF, Fill())  # used: now the newest
    size = (folder / "aa.npy").stat().st_size
    monkeypatch.setattr(cache_module, "LIMIT_BYTES", 3 * size)
    cached_array("dd", 100, HALF, Fill())
    assert sorted(path.stem for path in folder.glob("*.npy")) == ["aa", "cc", "dd"]


def test_no_room_on_the_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached_array("aa", 100, HALF, Fill())
    usage = SimpleNamespace(free=10)
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(VadError, match="set VAD_HOME to a folder on a larger disk"):
        cached_array("bb", 100, HALF, Fill())


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").touch()
    monkeypatch.setenv("VAD_HOME", str(tmp_path / "home"))
    with pytest.raises(VadError, match=r"cannot be used \(Not a directory\); set VAD_HOME"):
        cached_array("ab", 5, HALF, Fill())
