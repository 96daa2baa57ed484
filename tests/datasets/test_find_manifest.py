"""Shipped datasets by name, their sides, and manifests by name or file."""

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


def test_every_shipped_dataset_has_its_own_name() -> None:
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
    assert manifest_file(str(path), "train") == path
    assert manifest_file("cctv-fights", "train").name == "train.jsonl"


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no manifest 'nothing': give a file \(.jsonl\) or one"):
        find_manifest("nothing")
    with pytest.raises(InputError, match="side 'val': has to be one of train, validation, test"):
        find_manifest("cctv-fights", "val")
    with pytest.raises(InputError, match="dataset cctv-fights has no validation side; choose"):
        find_manifest("cctv-fights", "validation")
    path = tmp_path / "broken.jsonl"
    path.write_text("{}\n")
    with pytest.raises(ManifestError, match=r"broken.jsonl:1: id is missing"):
        find_manifest(str(path))
