"""Writing a dataset's files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vad_toolkit.datasets.building.build import BuiltDataset, write_dataset
from vad_toolkit.datasets.dataset_info import DatasetInfo
from vad_toolkit.datasets.manifest import Entry, read_manifest
from vad_toolkit.errors import InputError, ManifestError

MakeEntry = Callable[..., Entry]
INFO = DatasetInfo(name="x")


def test_three_files_are_written(make_entry: MakeEntry, tmp_path: Path) -> None:
    built = BuiltDataset(INFO, (make_entry("a"),), (make_entry("b"),))
    written = write_dataset(built, tmp_path / "out")
    assert {side: path.name for side, path in written.items()} == {
        "train": "train.jsonl",
        "test": "test.jsonl",
    }
    assert read_manifest(written["train"]).dataset == "x"
    assert read_manifest(written["test"]).entries == built.test


def test_without_a_test_split_there_is_no_test_file(make_entry: MakeEntry, tmp_path: Path) -> None:
    written = write_dataset(BuiltDataset(INFO, (make_entry("a"),), ()), tmp_path)
    assert written == {"train": tmp_path / "train.jsonl"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset.toml", "train.jsonl"]


@pytest.mark.parametrize("name", ["dataset.toml", "train.jsonl", "test.jsonl"])
def test_nothing_is_overwritten(make_entry: MakeEntry, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=f"{name} already exists; choose another"):
        write_dataset(BuiltDataset(INFO, (make_entry("a"),), ()), tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


def test_out_is_a_folder(make_entry: MakeEntry, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(InputError, match="out is a file; --out must name a folder"):
        write_dataset(BuiltDataset(INFO, (make_entry("a"),), ()), tmp_path / "out")


def test_the_sides_are_checked(make_entry: MakeEntry) -> None:
    with pytest.raises(ManifestError, match="source 's' is in both train and test"):
        BuiltDataset(INFO, (make_entry("a", source="s"),), (make_entry("b", source="s"),))
