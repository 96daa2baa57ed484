"""Locks: one holder, waiting, files replaced while waiting, and what killed processes left."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from vad_toolkit.core import locks
from vad_toolkit.core.files import TEMPORARY_MARK
from vad_toolkit.core.locks import acquire_lock, locked, remove_temporaries
from vad_toolkit.errors import InputError


def is_free(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_lock_is_held_during_the_block(tmp_path: Path, kind: str) -> None:
    path = tmp_path if kind == "folder" else tmp_path / "lock"
    for _ in range(2):
        with locked(path):
            assert not is_free(path)
        assert is_free(path)


def test_a_lock_is_released_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "lock"):
        raise ZeroDivisionError
    assert is_free(tmp_path / "lock")


@pytest.mark.parametrize("seconds", [0, 0.02])
def test_a_busy_lock_is_an_error(tmp_path: Path, seconds: float) -> None:
    with locked(tmp_path / "lock"):
        with pytest.raises(InputError, match="another run writes here"):
            acquire_lock(tmp_path / "lock", wait_seconds=seconds, busy="another run writes here")
        assert not is_free(tmp_path / "lock")


def test_a_lock_that_becomes_free_in_time_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = acquire_lock(tmp_path / "lock")
    monkeypatch.setattr(locks.time, "sleep", lambda seconds: os.close(holder))
    with locked(tmp_path / "lock", wait_seconds=5):
        assert not is_free(tmp_path / "lock")


@pytest.mark.parametrize("what", ["removed", "replaced"])
def test_a_file_that_changes_while_waiting_is_locked_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    path = tmp_path / "lock"
    flock, calls = fcntl.flock, []

    def late(descriptor: int, how: int) -> None:
        calls.append(how)
        if len(calls) == 1:
            path.unlink()
            if what == "replaced":
                path.touch()
        flock(descriptor, how)

    monkeypatch.setattr(locks.fcntl, "flock", late)
    with locked(path):
        monkeypatch.undo()
        assert calls == [fcntl.LOCK_EX] * 2
        assert not is_free(path)


def test_an_error_leaves_no_open_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []

    def refuse(descriptor: int, how: int) -> None:
        opened.append(descriptor)
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with pytest.raises(OSError, match="not supported"):
        acquire_lock(tmp_path / "lock")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])
    with pytest.raises(FileNotFoundError):
        acquire_lock(tmp_path / "no folder" / "lock")


def test_temporaries_of_killed_processes_are_removed(tmp_path: Path) -> None:
    (tmp_path / f"a.npy{TEMPORARY_MARK}12").touch()
    (tmp_path / f"{TEMPORARY_MARK}x" / "inner").mkdir(parents=True)
    (tmp_path / "a.npy").touch()
    remove_temporaries(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]
