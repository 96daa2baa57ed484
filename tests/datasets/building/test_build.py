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
    assert [path.name for path in written] == ["dataset.toml", "train.jsonl", "test.jsonl"]
    assert read_manifest(written[1]).dataset == "x"
    assert read_manifest(written[2]).entries == built.test


def test_without_a_test_split_there_is_no_test_file(make_entry: MakeEntry, tmp_path: Path) -> None:
    written = write_dataset(BuiltDataset(INFO, (make_entry("a"),), ()), tmp_path)
    assert [path.name for path in written] == ["dataset.toml", "train.jsonl"]


@pytest.mark.parametrize("name", ["dataset.toml", "train.jsonl", "test.jsonl"])
def test_nothing_is_overwritten(make_entry: MakeEntry, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=f"{name} is there already; name another folder"):
        write_dataset(BuiltDataset(INFO, (make_entry("a"),), ()), tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


def test_out_is_a_folder(make_entry: MakeEntry, tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(InputError, match="out is a file; --out has to name a folder"):
        write_dataset(BuiltDataset(INFO, (make_entry("a"),), ()), tmp_path / "out")


def test_the_sides_are_checked(make_entry: MakeEntry) -> None:
    with pytest.raises(ManifestError, match="source 's' is in train and in test"):
        BuiltDataset(INFO, (make_entry("a", source="s"),), (make_entry("b", source="s"),))
