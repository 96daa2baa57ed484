"""Files and folders that appear whole or not at all, the order of their syncs, and checks."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.core.files import (
    EarlySync,
    atomic_folder,
    atomic_path,
    check_new_file,
    check_new_folder,
    claim_folder,
    write_arrays,
    write_text,
)
from vad_toolkit.errors import InputError


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    with atomic_folder(out) as folder:
        (folder / "a").mkdir()
        (folder / "a" / "b").write_text("b")
        assert not out.exists()
    assert (out / "a" / "b").read_text() == "b"
    assert list(out.parent.iterdir()) == [out]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    with atomic_folder(tmp_path) as folder:
        (folder / "a").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_fails_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "out") as folder:
        (folder / "a").write_text(str(1 / 0))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_in_use_stays(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    mine = out if kind == "file" else out / "mine"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    match = (
        r"out already exists and is not an empty folder; choose another --out \(results are never "
    )
    with pytest.raises(InputError, match=match), atomic_folder(out):
        pass
    assert mine.read_text() == "mine"


@pytest.fixture
def operations(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The fsyncs and renames of a test, in order, with the name of the file or folder."""
    done: list[tuple[str, str]] = []
    fsync, replace = os.fsync, Path.replace

    def record_fsync(descriptor: int) -> None:
        done.append(("fsync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        fsync(descriptor)

    def record_replace(path: Path, target: Path) -> Path:
        done.append(("rename", path.name))
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(Path, "replace", record_replace)
    return done


def test_a_file_is_synced_before_its_rename_and_its_folder_after(
    tmp_path: Path, operations: list[tuple[str, str]]
) -> None:
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("a")
    assert operations == [
        ("fsync", temporary.name),
        ("rename", temporary.name),
        ("fsync", tmp_path.name),
    ]


def test_a_folder_is_synced_before_its_rename_and_its_parent_after(
    tmp_path: Path, operations: list[tuple[str, str]]
) -> None:
    with atomic_folder(tmp_path / "out") as temporary:
        (temporary / "inner").mkdir()
        (temporary / "inner" / "a").touch()
        (temporary / "b").touch()
    rename = operations.index(("rename", temporary.name))
    before = [temporary.name, "a", "b", "inner"]
    assert sorted(operations[:rename]) == [("fsync", name) for name in sorted(before)]
    assert operations[rename + 1 :] == [("fsync", tmp_path.name)]


def test_a_file_that_fails_leaves_the_old_one(
    tmp_path: Path, operations: list[tuple[str, str]]
) -> None:
    write_text(tmp_path / "a.txt", "old")
    operations.clear()
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text(str(1 / 0))
    assert operations == []
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_new_files_and_folders(tmp_path: Path) -> None:
    check_new_file(tmp_path / "a.h5")
    check_new_folder(tmp_path)
    (tmp_path / "a.h5").symlink_to("nowhere")
    match = r"a\.h5 already exists; choose another --out \(packs are never overwritten\)$"
    with pytest.raises(InputError, match=match):
        check_new_file(tmp_path / "a.h5", "packs")
    with pytest.raises(InputError, match=r"choose another --out-dir \(files are never"):
        check_new_file(tmp_path, option="--out-dir")
    with pytest.raises(
        InputError, match=r"is not an empty folder; choose another --out \(runs are"
    ):
        check_new_folder(tmp_path, "runs")


def test_syncs_are_as_rare_as_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    path = tmp_path / "a"
    path.touch()
    with EarlySync(path, every=10) as sync:
        sync.wrote(9)
        assert sync._running is None
        sync.wrote(1)
        assert sync._running is not None
        sync._running.result()
        sync.wrote(9)
    assert len(synced) == 1


@pytest.mark.parametrize("more", [0, 10])
def test_a_sync_that_fails_is_told(
    more: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    path = tmp_path / "a"
    path.touch()

    def write() -> None:
        with EarlySync(path, every=10) as sync:
            sync.wrote(10)
            while sync._running is not None and not sync._running.done():
                pass
            sync.wrote(more)

    with pytest.raises(OSError, match="Input/output error"):
        write()


def test_a_folder_is_claimed_once(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    claim_folder(folder, "record.json", {"seed": 1}, "a dataset")
    claim_folder(folder, "record.json", {"seed": 1}, "a dataset")  # the same goes on
    with pytest.raises(InputError, match=r"holds a dataset with other data .*see record\.json"):
        claim_folder(folder, "record.json", {"seed": 2}, "a dataset")
    (folder / "record.json").write_text("{")
    with pytest.raises(InputError, match="holds a dataset with other data"):
        claim_folder(folder, "record.json", {"seed": 1}, "a dataset")


def test_a_folder_with_other_files_is_not_claimed(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for place in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(InputError, match="already exists and is not an empty folder"):
            claim_folder(place, "record.json", {}, "a dataset")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_arrays_come_back_and_have_equal_bytes(tmp_path: Path) -> None:
    arrays = {"numbers": np.arange(6, dtype=np.float32).reshape(2, 3), "ids": np.array(["a", "bc"])}
    for name in ("a.npz", "b.npz"):
        write_arrays(tmp_path / name, arrays)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz") as stored:
        assert stored["numbers"].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert stored["ids"].tolist() == ["a", "bc"]


def test_arrays_that_cannot_be_written_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_arrays(tmp_path / "a.npz", {1: np.zeros(1)})  # type: ignore[dict-item]
    assert not list(tmp_path.iterdir())
