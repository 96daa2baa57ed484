"""Packs in progress: kept and refused parts, locks, and runs killed at any moment."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import h5py
import pytest

from vad_toolkit.core import locks
from vad_toolkit.errors import InputError, PackCorrupt, PackError
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.packs.parts import PartStore
from vad_toolkit.packs.video import VideoFeatures
from vad_toolkit.packs.write import write_pack
from vad_toolkit.recipes.recipe import Recipe, load_recipe

MakeVideo = Callable[..., VideoFeatures]
KILLED_RUN = Path(__file__).with_name("killed_run.py")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "packs" / "out.h5"


@pytest.fixture
def store(out: Path, recipe: Recipe) -> Callable[..., PartStore]:
    def open_store(made_by: Recipe = recipe, **options: str) -> PartStore:
        return PartStore(out, made_by, **{"dataset": "made-up", **options})

    return open_store


@pytest.fixture
def videos(make_video: MakeVideo) -> dict[str, VideoFeatures]:
    return {
        "a/one": make_video(40, seed=1),
        "a/two": make_video(7, seed=2),
        "b": make_video(90, seed=3),
    }


@pytest.fixture
def expected(tmp_path: Path, recipe: Recipe, videos: dict[str, VideoFeatures]) -> str:
    """The content digest of a pack of all videos, written at once."""
    write_pack(tmp_path / "expected.h5", recipe, videos.items(), dataset="made-up")
    return content(tmp_path / "expected.h5")


def content(path: Path) -> str:
    with FeaturePack.open(path) as pack:
        assert pack.verify() == []
        return pack.content_sha256


def names(out: Path) -> list[str]:
    return sorted(path.relative_to(out.parent).as_posix() for path in out.parent.rglob("*"))


Store = Callable[..., PartStore]
Videos = dict[str, VideoFeatures]


def test_one_run(store: Store, out: Path, videos: Videos, expected: str) -> None:
    with store() as parts:
        assert dict(parts.completed) == {}
        for id, video in videos.items():
            parts.add(id, video)
        assert dict(parts.completed) == {id: video.meta for id, video in videos.items()}
        assert not out.exists()
        assert parts.finish() == out
        assert names(out) == ["out.h5"]
    assert names(out) == ["out.h5"]
    assert content(out) == expected
    assert parts.notes == []


def test_run_that_is_broken_off_and_resumed(
    store: Store, out: Path, videos: Videos, expected: str
) -> None:
    with suppress(KeyboardInterrupt), store() as parts:
        parts.add("b", videos["b"])
        raise KeyboardInterrupt
    assert not out.exists()
    with store() as parts:
        assert set(parts.completed) == {"b"}
        with pytest.raises(PackError, match="'b' occurs twice"):
            parts.add("b", videos["b"])
        for id in ("a/one", "a/two"):
            parts.add(id, videos[id])
        parts.finish()
    assert content(out) == expected
    assert names(out) == ["out.h5"]


def test_finished_pack_gets_more_videos(
    store: Store, out: Path, videos: Videos, expected: str
) -> None:
    with store(license="MIT") as parts:
        parts.add("a/two", videos["a/two"])
        parts.finish()
    with store(dataset="more") as parts:
        assert set(parts.completed) == {"a/two"}
        with pytest.raises(PackError, match="'a/two' occurs twice"):
            parts.add("a/two", videos["a/two"])
        with pytest.raises(PackError, match=r"cannot be a video and a folder of videos"):
            parts.add("a", videos["b"])
        for id in ("b", "a/one"):
            parts.add(id, videos[id])
        parts.finish()
    assert content(out) == expected
    with FeaturePack.open(out) as pack:
        assert pack.dataset == "more"
        assert pack.license == "MIT"


def test_nothing_new_leaves_the_pack_untouched(store: Store, out: Path, videos: Videos) -> None:
    with store() as parts:
        parts.add("b", videos["b"])
        parts.finish()
    before = out.stat()
    with store() as parts:
        assert parts.finish() == out
    after = out.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert names(out) == ["out.h5"]


def test_no_video_at_all(store: Store, out: Path) -> None:
    with store() as parts:
        assert parts.finish() is None
    assert names(out) == []


def test_features_that_do_not_fit_are_no_part(
    store: Store, out: Path, make_video: MakeVideo
) -> None:
    other = load_recipe("i3d-rgb-tencrop")
    with store() as parts:
        with pytest.raises(PackError, match="video 'a': rgb must have 1 crops as in the"):
            parts.add("a", make_video(recipe=other))
        assert not parts.completed
        parts.add("a", make_video())
        assert set(parts.completed) == {"a"}


def test_second_run_is_refused(store: Store, out: Path, videos: Videos) -> None:
    with store() as parts:
        parts.add("b", videos["b"])
        with pytest.raises(InputError, match=r"another run is writing to .*out\.h5\.parts; wait"):
            store()
        parts.add("a/one", videos["a/one"])
        parts.finish()
    with store() as parts:
        assert set(parts.completed) == {"a/one", "b"}


def test_lock_that_another_run_removed_just_now(
    store: Store, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening and locking, the run before gives up the folder: the lock is taken anew."""
    flock = locks.fcntl.flock
    rounds = []

    def late(descriptor: int, how: int) -> None:
        rounds.append(descriptor)
        if len(rounds) == 1:
            (out.parent / "out.h5.parts" / "lock").unlink()
            (out.parent / "out.h5.parts").rmdir()
        flock(descriptor, how)

    monkeypatch.setattr(locks.fcntl, "flock", late)
    with store():
        assert len(rounds) == 2
        assert names(out) == ["out.h5.parts", "out.h5.parts/lock"]


def test_folder_taken_by_a_run_that_begins(
    store: Store, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between removing the lock and its folder, another run begins: the folder stays."""
    rmdir = Path.rmdir

    def late(path: Path) -> None:
        (path / "lock").touch()
        rmdir(path)

    monkeypatch.setattr(Path, "rmdir", late)
    store().close()
    assert names(out) == ["out.h5.parts", "out.h5.parts/lock"]


def test_lock_that_does_not_stay(store: Store, out: Path) -> None:
    folder = out.parent / "out.h5.parts"
    folder.mkdir(parents=True)
    (folder / "lock").symlink_to(out.parent / "nowhere" / "lock")
    with pytest.raises(InputError, match=r"cannot lock .*: it does not stay; choose another --out"):
        store()


def test_file_system_without_locks(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with pytest.raises(
        InputError, match=r"cannot create or lock .*: Operation not supported; choose"
    ):
        store()


def test_place_that_cannot_be_written(tmp_path: Path, recipe: Recipe) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot create or lock .*choose another --out"):
        PartStore(tmp_path / "file" / "out.h5", recipe, dataset="x")


def test_parts_of_another_recipe(store: Store, out: Path, videos: Videos, recipe: Recipe) -> None:
    with store() as parts:
        parts.add("b", videos["b"])
    before = names(out)
    other = load_recipe("i3d-rgb-center", {"precision": "bfloat16"})
    with pytest.raises(
        InputError, match=r"choose another --out, or delete .*out\.h5\.parts"
    ) as caught:
        store(other)
    assert recipe.sha256 in str(caught.value)
    assert other.sha256 in str(caught.value)
    assert names(out) == before
    store().close()


def test_pack_of_another_recipe(store: Store, out: Path, videos: Videos, recipe: Recipe) -> None:
    with store() as parts:
        parts.add("b", videos["b"])
        parts.finish()
    other = load_recipe("i3d-rgb-center", {"precision": "bfloat16"})
    with pytest.raises(InputError, match=rf"{recipe.sha256}, this run has {other.sha256}; choose"):
        store(other)
    assert names(out) == ["out.h5"]


def test_something_else_in_the_packs_place(store: Store, out: Path) -> None:
    out.parent.mkdir()
    out.write_text("my notes")
    with pytest.raises(
        PackCorrupt, match=r"not an HDF5 file.*; move it away, or choose another --out"
    ):
        store()
    assert names(out) == ["out.h5"]
    assert out.read_text() == "my notes"


@pytest.mark.parametrize("how", ["bit", "cut", "empty", "text"])
def test_damaged_part_is_made_again(
    store: Store, out: Path, videos: Videos, expected: str, how: str
) -> None:
    with store() as parts:
        for id, video in videos.items():
            parts.add(id, video)
        damaged = parts._part_path("b")
    data = bytearray(damaged.read_bytes())
    if how == "bit":
        data[data.index(videos["b"].streams["rgb"].tobytes())] ^= 4
    else:
        data = {"cut": data[:-1000], "empty": bytearray(), "text": bytearray(b"text")}[how]
    damaged.write_bytes(data)
    with store() as parts:
        assert set(parts.completed) == {"a/one", "a/two"}
        assert len(parts.notes) == 1
        assert parts.notes[0].startswith("dropped a part, its video must be extracted again: ")
        assert str(damaged) in parts.notes[0]
        assert not damaged.exists()
        parts.add("b", videos["b"])
        parts.finish()
    assert content(out) == expected


def test_part_under_a_wrong_name(store: Store, out: Path, videos: Videos) -> None:
    with store() as parts:
        parts.add("b", videos["b"])
        path = parts._part_path("b")
    path.rename(path.with_name("other.h5"))
    with store() as parts:
        assert not parts.completed
        assert "not a part" in parts.notes[0]


def test_part_of_a_later_version_is_not_thrown_away(
    store: Store, out: Path, videos: Videos
) -> None:
    with store() as parts:
        parts.add("b", videos["b"])
        path = parts._part_path("b")
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 2
    with pytest.raises(InputError, match=r"format_version must be 1.*or delete .*out\.h5\.parts"):
        store()
    assert path.exists()


def test_damaged_video_of_the_old_pack_is_made_again(
    store: Store, out: Path, videos: Videos, expected: str
) -> None:
    with store() as parts:
        for id, video in videos.items():
            parts.add(id, video)
        parts.finish()
    data = bytearray(out.read_bytes())
    data[data.index(videos["b"].streams["rgb"].tobytes())] ^= 4
    out.write_bytes(data)
    with store() as parts:
        assert set(parts.completed) == {"a/one", "a/two"}
        assert "video 'b': rgb features are damaged" in parts.notes[0]
        parts.add("b", videos["b"])
        parts.finish()
    assert content(out) == expected


def test_damage_that_comes_later_is_not_copied(store: Store, out: Path, videos: Videos) -> None:
    with store() as parts:
        parts.add("b", videos["b"])
        path = parts._part_path("b")
        data = bytearray(path.read_bytes())
        data[data.index(videos["b"].streams["rgb"].tobytes())] ^= 4
        path.write_bytes(data)
        with pytest.raises(PackCorrupt, match="video 'b': rgb features are damaged"):
            parts.finish()
    assert not out.exists()
    assert path.exists()


def test_only_temporaries_of_this_pack_are_removed(store: Store, out: Path, videos: Videos) -> None:
    out.parent.mkdir()
    folder = out.parent / "out.h5.parts"
    folder.mkdir()
    gone = [out.parent / "out.h5.tmp-123", folder / "abc.h5.tmp-123"]
    kept = [
        out.parent / "other.h5.tmp-123",
        out.parent / "out.h5.tmp-notes",
        out.parent / "out.h5.tmp-1.bak",
        out.parent / "my.tmp-1",
    ]
    for path in gone + kept:
        path.write_text("")
    with store() as parts:
        parts.add("b", videos["b"])
        parts.finish()
    assert [path for path in gone if path.exists()] == []
    assert [path for path in kept if not path.exists()] == []


def test_strange_file_among_the_parts_is_left_alone(
    store: Store, out: Path, videos: Videos
) -> None:
    with store() as parts:
        (out.parent / "out.h5.parts" / "notes.txt").write_text("mine")
        parts.add("b", videos["b"])
        parts.finish()
    assert names(out) == ["out.h5", "out.h5.parts", "out.h5.parts/lock", "out.h5.parts/notes.txt"]


def test_parts_that_outlived_their_pack(store: Store, out: Path, videos: Videos) -> None:
    """As after a kill between the pack's appearance and the removal of its parts."""
    folder, copy = out.parent / "out.h5.parts", out.parent / "copy"
    with store() as parts:
        for id, video in videos.items():
            parts.add(id, video)
        shutil.copytree(folder, copy)
        parts.finish()
    copy.rename(folder)
    before = out.stat()
    with store() as parts:
        assert set(parts.completed) == set(videos)
        assert parts.finish() == out
    assert out.stat().st_ino == before.st_ino
    assert names(out) == ["out.h5"]


@pytest.mark.parametrize("how", ["steps", "moments"])
def test_killed_runs(tmp_path: Path, how: str) -> None:
    """Runs end by SIGKILL at each of their file operations, and at random moments."""
    folder = tmp_path / "killed"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, KILLED_RUN, folder / "out.h5", how],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    digests = done.stdout.split()
    assert len(digests) >= 2
    assert len(set(digests)) == 1
