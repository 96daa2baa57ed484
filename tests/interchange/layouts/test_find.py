"""Selection of files in a folder, by suffix and by published lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from vad_toolkit.datasets.names import NameIndex
from vad_toolkit.errors import InputError
from vad_toolkit.interchange.layouts.find import feature_files, listed_files


def make(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def test_files_of_a_suffix(tmp_path: Path) -> None:
    make(tmp_path, "b/2.npy", "1.NPY", "b/c/3.npz", "b/notes.txt")
    assert feature_files(tmp_path, (".npy",)) == ["1.NPY", "b/2.npy"]
    assert feature_files(tmp_path, (".npy", ".npz")) == ["1.NPY", "b/2.npy", "b/c/3.npz"]


def test_a_folder_without_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"contains no \.npy, \.npz files; check --layout"):
        feature_files(make(tmp_path, "a.txt"), (".npy", ".npz"))


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read \(No such file"):
        feature_files(tmp_path / "x", (".npy",))


FILES = ["flat_i3d.npy", "test/a b.npy", "test/x.npy", "train/x.npy"]


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("/data/SH_Test_ten_crop_i3d/flat_i3d.npy", "flat_i3d.npy"),
        (r"G:\UCF_Test_ten_crop_i3d\flat_i3d.npy", "flat_i3d.npy"),
        ("/other/machine/train/x.npy", "train/x.npy"),
        ("test\\x.npy", "test/x.npy"),
        ("/data/a b.npy", "test/a b.npy"),
        ("/data/a b.npy 1", "test/a b.npy"),
        ("flat_i3d.npy\t0.0", "flat_i3d.npy"),
    ],
)
def test_lines_of_lists(line: str, file: str, tmp_path: Path) -> None:
    (tmp_path / "l.list").write_text(f"\n{line}\n\n")
    assert listed_files(tmp_path / "l.list", FILES) == ([file], [])


@pytest.mark.parametrize("line", ["train/x.mp4", "train/x", "train/x 1 0.5"])
def test_lines_with_names_of_videos(line: str, tmp_path: Path) -> None:
    """All files of the video are taken, such as those of its crops."""
    index = NameIndex(["train/x", "test/x"])
    (tmp_path / "l.list").write_text(f"{line}\ntrain/y\n")
    files = ["train/x__0.npy", "train/x__1.npy", "test/x__0.npy"]
    assert listed_files(tmp_path / "l.list", files, index.find) == (files[:2], ["train/y"])
    assert listed_files(tmp_path / "l.list", files) == ([], [line, "train/y"])


def test_the_order_is_that_of_the_list(tmp_path: Path) -> None:
    (tmp_path / "l.list").write_text("q/train/x.npy\nq/y.npy\nflat_i3d.npy\n")
    found, absent = listed_files(tmp_path / "l.list", FILES)
    assert found == ["train/x.npy", "flat_i3d.npy"]
    assert absent == ["q/y.npy"]


@pytest.mark.parametrize(
    ("lines", "match"),
    [
        ("a.npy\nx.npy\n", r"l.list:2: 'x.npy' stands for several files: test/x.npy, train/x.npy;"),
        ("a/flat_i3d.npy\nb/flat_i3d.npy\n", r"l.list:2: flat_i3d.npy is already in line 1"),
        ("\udcff", r"l.list is not a list of files: "),
        ("\n \n", r"l.list is empty; a list names one file or video per line"),
    ],
)
def test_lists_that_are_refused(lines: str, match: str, tmp_path: Path) -> None:
    (tmp_path / "l.list").write_text(lines, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(InputError, match=match):
        listed_files(tmp_path / "l.list", FILES)


def test_a_missing_list(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"l.list is not a list of files: "):
        listed_files(tmp_path / "l.list", FILES)
