"""Manifests by dataset name, by file and as objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from vad_toolkit.datasets.manifest import Entry, write_manifest
from vad_toolkit.datasets.registry import (
    DATASETS,
    find_manifest,
    load_dataset,
    manifest_file,
)
from vad_toolkit.errors import InputError, ManifestError


def test_every_dataset_states_its_own_name() -> None:
    assert "cctv-fights" in DATASETS
    assert all(load_dataset(name).info.name == name for name in DATASETS)


def test_sides_stand_in_order() -> None:
    dataset = load_dataset("cctv-fights")
    assert list(dataset.sides) == ["train", "test"]
    assert list(dataset) == [*dataset.train, *dataset.test]


def test_by_name_or_file(tmp_path: Path) -> None:
    dataset = load_dataset("cctv-fights")
    assert find_manifest("cctv-fights").entries == dataset.test.entries
    assert find_manifest("cctv-fights", "train").entries == dataset.train.entries
    path = tmp_path / "mine.jsonl"
    write_manifest(path, [Entry(id="a", path="a.mp4", label=0)])
    assert [entry.id for entry in find_manifest(str(path))] == ["a"]
    assert find_manifest(path).path == path
    loaded = find_manifest(path)
    assert find_manifest(loaded, "train") is loaded
    assert find_manifest(path, "all").entries == loaded.entries
    assert manifest_file(str(path), "train") == path
    assert manifest_file("cctv-fights", "train").name == "train.jsonl"


def test_all_sides_in_one_manifest() -> None:
    dataset = load_dataset("ubnormal")
    every = find_manifest("ubnormal", "all")
    assert every.entries == tuple(dataset)
    assert (every.dataset, len(every)) == ("ubnormal", 268 + 64 + 211)


def test_a_path_is_never_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_manifest(Path("tad"), [Entry(id="a", path="a.mp4", label=0)])
    assert len(find_manifest(Path("tad"))) == 1
    assert len(find_manifest("tad")) == 100


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"no manifest 'nothing'; give a file \(.jsonl\) or a dataset: "
    ):
        find_manifest("nothing")
    with pytest.raises(InputError, match="unknown side 'val'; available: train, validation, test"):
        find_manifest("cctv-fights", "val")
    with pytest.raises(InputError, match="dataset cctv-fights has no validation side; choose"):
        find_manifest("cctv-fights", "validation")
    path = tmp_path / "broken.jsonl"
    path.write_text("{}\n")
    with pytest.raises(ManifestError, match=r"broken.jsonl:1: id is missing"):
        find_manifest(str(path))
