from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vad_toolkit.errors import PackError, VadError
from vad_toolkit.training import cache as cache_module
from vad_toolkit.training import data as data_module
from vad_toolkit.training.cache import cached_array
from vad_toolkit.training.config import DataConfig
from vad_toolkit.training.data import load_training_set, open_training_source

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
    with pytest.raises(VadError, match="set VAD_HOME to a folder on a larger one"):
        cached_array("bb", 100, HALF, Fill())


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").touch()
    monkeypatch.setenv("VAD_HOME", str(tmp_path / "home"))
    with pytest.raises(VadError, match=r"cannot be used \(Not a directory\): set VAD_HOME"):
        cached_array("ab", 5, HALF, Fill())


@pytest.mark.parametrize("segments", [5, "all"])
def test_a_large_set_is_mapped_and_equal(
    dataset, folder: Path, monkeypatch: pytest.MonkeyPatch, segments: int | str
) -> None:
    config = DataConfig.model_validate({"segments": segments})
    small = load_training_set(dataset.pack, dataset.manifest, config)
    assert not folder.exists()
    monkeypatch.setattr(data_module, "CACHE_FROM_BYTES", 1)
    events: list[object] = []
    for _ in range(2):
        large = load_training_set(dataset.pack, dataset.manifest, config, events.append)
        assert large.mapped
        assert torch.equal(large.videos.flat, small.videos.flat)
    assert len(events) == 20  # the pack was read once
    assert len(list(folder.glob("*.npy"))) == 1


def test_what_decides_the_segments_decides_the_name(dataset) -> None:
    configs = [
        DataConfig(),
        DataConfig(segments=5),
        DataConfig(segments="all"),
        DataConfig(storage="float32"),
    ]
    sources = [open_training_source(dataset.pack, dataset.manifest, c) for c in configs]
    assert len({source.cache_key for source in sources}) == 4
    same = open_training_source(dataset.pack, dataset.manifest, DataConfig(standardise=False))
    assert same.cache_key == sources[0].cache_key
